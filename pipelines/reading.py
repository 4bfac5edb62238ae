"""Reading one delivery from landing: the same at its first journey and ever after.

What is read again later must come out as it came out first, unless mapping or rules changed.
"""

import shutil
from pathlib import Path

from connectors.checking import Checked, check
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.register.incoming import Arriving
from connectors.staging.pool import start_early
from connectors.staging.stage import POOL_ABOVE_BYTES, StagedFile
from ipregister.processing import processing_version

ZIP_RATIO = 20
"""How much more XML a ZIP usually holds; where it holds pictures, readers start in vain."""


def expect_reading(hub: Hub, office: str | None = None) -> None:
    """Start the processes that read, if so much waits that they will be asked."""
    waiting = hub.ledger.deliveries.waiting(office)
    expected = sum(
        file.bytes * (ZIP_RATIO if file.name.lower().endswith(".zip") else 1)
        for delivery in waiting
        for file in delivery.files
    )
    if hub.settings.workers > 1 and expected >= POOL_ABOVE_BYTES:
        start_early(hub.settings.workers)


def read_delivery(hub: Hub, delivery: Delivery, directory: Path) -> tuple[Checked, Arriving]:
    """Read, map and judge a delivery; return that, and what of it is compared with the register.

    Args:
        hub: where its files are, and how much may be used to read them.
        delivery: which one.
        directory: where rows and findings are written; emptied first.

    Raises:
        ConfigurationError: profile, format or rules are wrong.
    """
    shutil.rmtree(directory, ignore_errors=True)
    checked = check(
        delivery.office,
        delivery.right,
        [
            StagedFile(file.name, file.sha256, hub.landing.path(file.sha256))
            for file in delivery.files
        ],
        directory,
        as_of=delivery.receivedAt.date(),
        workers=hub.settings.workers,
        memory_limit=hub.settings.memory_limit,
    )
    return checked, Arriving(
        office=delivery.office,
        right=delivery.right,
        kind=delivery.kind,
        rows=checked.staged.rows,
        removals=checked.staged.removals,
        findings=checked.findings,
        rejected=checked.staged.rejected,
        delivery_id=delivery.deliveryId,
        order=delivery.order,
        processing=processing_version(delivery.office, delivery.right),
    )
