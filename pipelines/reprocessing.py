"""Deriving what the register says again, from what was received, with today's mapping and rules.

The same mapping and rules change nothing, not one byte and not one entry of the feed. What they
do change is published with the cause ``processing``. Receipts and findings of the deliveries stay
as they were told; a repetition after a crash finishes what is missing. What follows once it is
known what changes is ``rederived``.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.between_steps import refuse_between_steps
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.register.incoming import Arriving
from connectors.register.manifests import Effective, keep_manifest, processing_of
from connectors.register.rederiving import find_sources, rederive, write_manifest_of
from ipregister.deliveries import EFFECTIVE
from ipregister.model import Right
from pipelines.begun import finish_begun
from pipelines.journey import manifest_of
from pipelines.reading import read_delivery
from pipelines.rederived import (
    Rederived,
    Reprocessed,
    directory_of,
    manifest_in,
    plan_in,
    publish_rederived,
    remember,
)


def reprocess(
    hub: Hub, office: str, right: Right, *, by: str, clock: Callable[[], datetime]
) -> list[Reprocessed]:
    """Read again every delivery that says what the register has of one office and right.

    And those with records nobody could read.

    Args:
        hub: the stores.
        office: whose records.
        right: of which right.
        by: who asked, for the ledger.
        clock: gives the instant (UTC) of each change.

    Returns:
        What an earlier attempt had begun, then one entry per delivery read, in the office's
        order.

    Raises:
        LedgerConflict: a delivery was decided against what the register says now, and waits.
    """
    with hub.alone(office, right):
        return _reprocess(hub, office, right, by, clock)


def _reprocess(
    hub: Hub, office: str, right: Right, by: str, clock: Callable[[], datetime]
) -> list[Reprocessed]:
    refuse_between_steps(hub, office, right)
    finished = finish_begun(hub, office, right, by=by, clock=clock)
    deliveries = effective_deliveries(hub, office, right)
    effective = [
        Effective(each.deliveryId, each.kind, each.order, manifest_of(hub, each))
        for each in deliveries
    ]
    directory = directory_of(hub, office, right)
    shutil.rmtree(directory, ignore_errors=True)
    reach("reprocess.begun")
    work = _Work(hub, effective, directory, by, clock)
    for each in deliveries:
        if not manifest_of(hub, each).exists():  # of a hub from before there were manifests
            work.read(each)
    sources = find_sources(hub.register, office, right, effective, work.said)
    reach("reprocess.sources")
    wanted = {each.delivery_id for each in sources} | {
        each.deliveryId for each in deliveries if each.receipt and each.receipt.rejected
    }
    done = [work.rederive(each) for each in deliveries if each.deliveryId in wanted]
    shutil.rmtree(directory, ignore_errors=True)
    work.said.unlink(missing_ok=True)
    reach("reprocess.cleared")
    return finished + done


def effective_deliveries(hub: Hub, office: str, right: Right) -> list[Delivery]:
    """Return the deliveries of one office and right that took effect, in the office's order."""
    published = hub.ledger.deliveries.list(office=office, right=right, states=EFFECTIVE)
    return sorted(
        (each for each in published if each.revertedAt is None), key=lambda each: each.order
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """One office and right being reprocessed."""

    hub: Hub
    effective: Sequence[Effective]
    directory: Path
    by: str
    clock: Callable[[], datetime]

    @property
    def said(self) -> Path:
        return self.directory.with_suffix(".said")

    def read(self, delivery: Delivery) -> None:
        """Write the manifest of a delivery that has none, and nothing else."""
        again, written = self._arriving(delivery), manifest_in(self.directory)
        write_manifest_of(self.hub.register, again, written)
        keep_manifest(written, manifest_of(self.hub, delivery))

    def rederive(self, delivery: Delivery) -> Reprocessed:
        """Read a delivery again and publish what it says differently now."""
        with self.hub.register.remembering():  # its files have the names of the one's before it
            return self._rederive(delivery)

    def _rederive(self, delivery: Delivery) -> Reprocessed:
        again, manifest = self._arriving(delivery), manifest_of(self.hub, delivery)
        reach("reprocess.read")
        before = processing_of(manifest)
        count = rederive(
            self.hub.register, again, self.effective, self.said, plan_in(self.directory)
        )
        reach("reprocess.compared")
        done = Reprocessed(
            delivery.deliveryId, delivery.office, delivery.right, count, before, again.processing
        )
        if count:
            return publish_rederived(self.hub, self._decided(again, done), self.clock())
        if before != again.processing:
            with self.hub.gate.passing():
                keep_manifest(manifest_in(self.directory), manifest)
        return done

    def _arriving(self, delivery: Delivery) -> Arriving:
        _, arriving = read_delivery(self.hub, delivery, self.directory)
        return arriving

    def _decided(self, again: Arriving, done: Reprocessed) -> Rederived:
        first = self.hub.ledger.deliveries.allocate(done.right, done.changes)
        reach("reprocess.numbered")
        rows = tuple(path.name for path in again.rows)
        decided = Rederived(self.directory, done, rows, first, self.clock(), self.by)
        remember(self.hub, decided)
        return decided
