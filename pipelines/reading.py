"""Reading one delivery from landing: the same at its first journey and ever after.

What is read again later must come out as it came out first, unless mapping or rules changed.
"""

import shutil
from pathlib import Path

from connectors.checking import Checked
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.register.incoming import Arriving
from ipregister.processing import processing_version
from pipelines import ahead


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
    checked = ahead.take(delivery.deliveryId, directory)
    if checked is None:
        checked = ahead.Reading.of(hub, delivery, directory).run()
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
