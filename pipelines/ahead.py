"""Small deliveries read and judged ahead of their turn, in a process beside this one.

Starting Dagster takes longer than reading a small update, and leaves a processor idle. The
files that come of it are those of its turn, in a directory of their own until then. Nothing
depends on it: what failed here is read again at its turn, where trouble is told.

Imports little: the process beside starts with this module, and first of all.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from connectors.staging.pool import reading_pool

if TYPE_CHECKING:
    from connectors.checking import Checked
    from connectors.hub import Hub
    from connectors.ledger import Delivery
    from ipregister.model import Right


class Reading(NamedTuple):
    """All that reading and judging a delivery depends on, and where its files are written."""

    office: str
    right: "Right"
    files: Sequence[tuple[str, str, Path]]
    directory: Path
    at: datetime
    workers: int
    memory_limit: str

    @classmethod
    def of(cls, hub: "Hub", delivery: "Delivery", directory: Path) -> "Reading":
        """Return how a delivery is read into a directory."""
        return cls(
            delivery.office,
            delivery.right,
            [(file.name, file.sha256, hub.landing.path(file.sha256)) for file in delivery.files],
            directory,
            delivery.receivedAt,
            hub.settings.workers,
            hub.settings.memory_limit,
        )

    def run(self) -> "Checked":
        """Read and judge it.

        Raises:
            ConfigurationError: profile, format or rules are wrong.
        """
        from connectors.checking import check
        from connectors.staging.stage import StagedFile

        return check(
            self.office,
            self.right,
            [StagedFile(*file) for file in self.files],
            self.directory,
            at=self.at,
            workers=self.workers,
            memory_limit=self.memory_limit,
        )


_begun: dict[str, tuple[Path, "Future[Checked]"]] = {}
"""Deliveries that are read ahead: where, and what will come of it."""


def begin(hub: "Hub", deliveries: Sequence["Delivery"]) -> None:
    """Begin to read these deliveries, one after the other."""
    pool = reading_pool(1)
    for delivery in deliveries:
        name = f"ahead-{os.getpid()}-{delivery.deliveryId}"
        reading = Reading.of(hub, delivery, hub.home.staging(name))
        _begun[delivery.deliveryId] = reading.directory, pool.submit(reading.run)
    pool.shutdown(wait=False)  # it ends with its last delivery


def take(delivery_id: str, directory: Path) -> "Checked | None":
    """Return a delivery that was read ahead, its files moved to where no directory is yet.

    ``None`` when it was not, or in vain.
    """
    if delivery_id not in _begun:
        return None
    written, outcome = _begun.pop(delivery_id)
    try:
        checked = outcome.result()
        written.replace(directory)
    except Exception:  # whatever it is, it comes again at the delivery's turn, or does not matter
        shutil.rmtree(written, ignore_errors=True)
        return None
    checked.staged.directory = directory
    return checked


def forget() -> None:
    """Give up what nobody took: somebody else was faster, or we stop."""
    while _begun:
        _, (written, outcome) = _begun.popitem()
        if not outcome.cancel():
            outcome.exception()
        shutil.rmtree(written, ignore_errors=True)
