"""Taking a published delivery back: register and readers as if it had never come.

The decision is in the ledger first; every step after it may be repeated after a crash, and
the next delivery of the same office and right finishes what was begun.
"""

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from connectors.between_steps import refuse_between_steps
from connectors.changes import Changes
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.publication import append_to_register
from connectors.register.incoming import Arriving
from connectors.register.reversal import (
    TOUCHED,
    Reversal,
    measured_reversal,
    plan_reversal,
    publish_reversal,
    revert_name,
)
from ipregister.model import Right
from pipelines.journey import effective_after, manifest_of
from pipelines.rederived import finish_rederived

log = structlog.get_logger()


def revert(hub: Hub, delivery_id: str, *, by: str, reason: str, at: datetime) -> Delivery:
    """Take one delivery back; once more changes nothing.

    Raises:
        UnknownDelivery: there is none of this identifier.
        InvalidRequest: no reason.
        LedgerConflict: it was not published, or another one is being processed just now.
    """
    asked = hub.ledger.deliveries.get(delivery_id)
    refuse_between_steps(hub, asked.office, asked.right)
    delivery = hub.ledger.reversals.decide(delivery_id, at=at, by=by, reason=reason)
    reach("revert.decided")
    with hub.alone(delivery.office, delivery.right):
        finish_rederived(hub, delivery.office, delivery.right, at)
        finish_reverts(hub, delivery.office, delivery.right, by=by, clock=lambda: at)
    return hub.ledger.deliveries.get(delivery_id)


def finish_reverts(
    hub: Hub, office: str, right: Right, *, by: str, clock: Callable[[], datetime]
) -> None:
    """Carry out what was decided and not finished; nothing else is published meanwhile."""
    if not hub.ledger.reversals.unfinished(office, right):
        return
    with hub.gate.closed():
        for delivery in hub.ledger.reversals.unfinished(office, right):
            _carry_out(hub, delivery, by=by, at=clock())


def _carry_out(hub: Hub, delivery: Delivery, *, by: str, at: datetime) -> None:
    register, name = hub.register, revert_name(delivery.deliveryId)
    directory = hub.home.staging(name)
    decided = delivery.revertedAt or at  # the same instant, however often it is begun again
    taken_out = Arriving(
        office=delivery.office,
        right=delivery.right,
        kind=delivery.kind,
        rows=(),
        delivery_id=delivery.deliveryId,
        order=delivery.order,
        newer=effective_after(hub, delivery),
    )
    planned, first = _planned(hub, delivery, taken_out, directory)
    if planned.changes:
        append_to_register(
            register,
            Changes(name, delivery.office, delivery.right, planned.plan, (), first, decided),
        )
    register.mark_reverted(delivery.right, delivery.office, delivery.deliveryId)
    reach("revert.marked")
    register.fold(delivery.right, delivery.office, afresh=True)
    reach("revert.folded")
    touched = directory / TOUCHED
    publish_reversal(register, taken_out, touched, hub.serving, at)
    reach("revert.served")
    hub.exports().store.take_back(delivery.office, delivery.right)
    hub.ledger.reversals.finish(
        delivery.deliveryId,
        counts=measured_reversal(register, taken_out, touched),
        amendments=planned.amendments,
        at=at,
        by=by,
    )
    reach("revert.finished")
    shutil.rmtree(directory, ignore_errors=True)
    reach("revert.cleared")
    log.info("delivery_reverted", delivery_id=delivery.deliveryId)


def _planned(
    hub: Hub, delivery: Delivery, taken_out: Arriving, directory: Path
) -> tuple[Reversal, int]:
    """Return the plan and the number of its first row, the same after a crash."""
    kept, plan = directory / "reversal.json", directory / "plan.parquet"
    if kept.exists():
        document = json.loads(kept.read_text("utf-8"))
        return Reversal(plan, document["changes"], document["amendments"]), document["first"]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    planned = plan_reversal(hub.register, taken_out, manifest_of(hub, delivery), plan)
    reach("revert.planned")
    first = (
        hub.ledger.deliveries.allocate(delivery.right, planned.changes) if planned.changes else 0
    )
    unfinished = directory / "reversal.unfinished"
    document = {"changes": planned.changes, "amendments": planned.amendments, "first": first}
    unfinished.write_text(json.dumps(document), "utf-8")
    reach("revert.unfinished")
    unfinished.replace(kept)
    reach("revert.named")
    hub.confirm_alone(delivery.office, delivery.right, kept)
    return planned, first
