"""Deriving what the register says again, from what was received, with today's mapping and rules.

The same mapping and rules change nothing, not one byte and not one entry of the feed. What they
do change is published with the cause ``processing``. Receipts and findings of the deliveries stay
as they were told; a repetition after a crash finishes what is missing.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from connectors.alone import alone
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.publication import Changes, append_to_register, publish_to_serving
from connectors.register.incoming import Arriving
from connectors.register.manifests import Effective, keep_manifest, processing_of
from connectors.register.rederiving import find_sources, rederive, write_manifest_of
from ipregister.deliveries import State
from ipregister.model import Right
from pipelines.journey import manifest_of
from pipelines.reading import read_delivery
from pipelines.reverting import finish_reverts, refuse_between_steps

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What one delivery, read again, has changed; versions of mapping and rules before and now."""

    deliveryId: str
    office: str
    right: Right
    changes: int
    before: str | None
    now: str


def reprocess(
    hub: Hub, office: str, right: Right, *, by: str, clock: Callable[[], datetime]
) -> list[Reprocessed]:
    """Read again every delivery that says what the register has of one office and right.

    Args:
        hub: the stores.
        office: whose records.
        right: of which right.
        by: who asked, for the ledger.
        clock: gives the instant (UTC) of each change.

    Returns:
        One entry per delivery read, in the office's order.

    Raises:
        LedgerConflict: a delivery was decided against what the register says now, and waits.
    """
    with alone(hub.home.root, office, right):
        return _reprocess(hub, office, right, by, clock)


def _reprocess(
    hub: Hub, office: str, right: Right, by: str, clock: Callable[[], datetime]
) -> list[Reprocessed]:
    refuse_between_steps(hub, office, right)
    finish_reverts(hub, office, right, by=by, clock=clock)
    deliveries = effective_deliveries(hub, office, right)
    effective = [
        Effective(each.deliveryId, each.kind, each.order, manifest_of(hub, each))
        for each in deliveries
    ]
    directory = hub.home.staging(f"reprocessing-{office}-{right}")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    reach("reprocess.begun")
    work = _Work(hub, effective, directory, by, clock)
    for each in deliveries:
        if not manifest_of(hub, each).exists():  # of a hub from before there were manifests
            work.read(each)
    sources = find_sources(hub.register, office, right, effective, work.said)
    reach("reprocess.sources")
    wanted = {each.delivery_id for each in sources}
    done = [work.rederive(each) for each in deliveries if each.deliveryId in wanted]
    shutil.rmtree(directory)
    reach("reprocess.cleared")
    return done


def effective_deliveries(hub: Hub, office: str, right: Right) -> list[Delivery]:
    """Return the deliveries of one office and right that took effect, in the office's order."""
    published = hub.ledger.deliveries.list(
        office=office, right=right, states=[State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS]
    )
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
        return self.directory / "said.parquet"

    def read(self, delivery: Delivery) -> None:
        """Write the manifest of a delivery that has none, and nothing else."""
        again, manifest = self._arriving(delivery), manifest_of(self.hub, delivery)
        write_manifest_of(self.hub.register, again, self.directory / "again.parquet")
        keep_manifest(self.directory / "again.parquet", manifest)

    def rederive(self, delivery: Delivery) -> Reprocessed:
        """Read a delivery again and publish what it says differently now."""
        again, manifest = self._arriving(delivery), manifest_of(self.hub, delivery)
        reach("reprocess.read")
        plan, before = self.directory / "plan.parquet", processing_of(manifest)
        count = rederive(self.hub.register, again, self.effective, self.said, plan)
        reach("reprocess.compared")
        with self.hub.gate.passing():
            if count:
                self._publish(delivery, again, plan, count)
            if count or before != again.processing:
                keep_manifest(plan.with_name("again.parquet"), manifest)
                reach("reprocess.manifest")
        log.info("delivery_reprocessed", delivery_id=delivery.deliveryId, changes=count)
        return Reprocessed(
            delivery.deliveryId, delivery.office, delivery.right, count, before, again.processing
        )

    def _arriving(self, delivery: Delivery) -> Arriving:
        _, arriving = read_delivery(self.hub, delivery, self.directory / "again")
        return arriving

    def _publish(self, delivery: Delivery, again: Arriving, plan: Path, count: int) -> None:
        """Make the changes visible, say so in the ledger, then write them into the log.

        In this order a crash before the last step leaves a difference to the log, so that the
        next attempt finds it again; readers have it already and see nothing twice.
        """
        first = self.hub.ledger.deliveries.allocate(delivery.right, count)
        reach("reprocess.numbered")
        at = self.clock()
        changes = Changes(
            delivery_id=f"{delivery.deliveryId}~{first}",
            office=delivery.office,
            right=delivery.right,
            plan=plan,
            rows=again.rows,
            first_change=first,
            at=at,
            cause="processing",
        )
        publish_to_serving(self.hub.register, self.hub.serving, changes)
        reach("reprocess.served")
        reason = f"reprocessed: {count:,} records changed by mapping or rules {again.processing}"
        self.hub.ledger.deliveries.remark(delivery.deliveryId, at, self.by, reason)
        reach("reprocess.remarked")
        append_to_register(self.hub.register, changes)
        reach("reprocess.logged")
