"""What waits for an office, as Dagster shows it: a check a person can run, a sensor that warns.

Holds nobody decides, and uploads that died and did not come again. A warning is all that
waiting brings about; only a person releases a delivery.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg

from connectors.ledger import Delivery
from ipregister.deliveries import State
from pipelines import assets
from pipelines.jobs import now, process_deliveries
from pipelines.resources import HubResource

WAITING = (State.HELD, State.INCOMPLETE)

DEAD_AFTER = timedelta(days=1)
"""An upload that is not complete by then goes on no more: its office must be told."""


@dg.multi_asset_check(
    specs=[assets.HOLDS_ARE_DECIDED],
    description="Judge whether offices decide what is held, and send again what did not arrive.",
)
def held_deliveries(hub: HubResource) -> Iterator[dg.AssetCheckResult]:
    """Yield the one result."""
    with hub.open() as stores:
        waiting = stores.ledger.deliveries.list(states=WAITING)
    yield holds_are_decided(waiting, now())


def holds_are_decided(waiting: Sequence[Delivery], at: datetime) -> dg.AssetCheckResult:
    """Return whether no delivery has waited for long, and which have, how urgently."""
    levels, held = _levels(waiting, at), sum(one.state is State.HELD for one in waiting)
    return dg.AssetCheckResult(
        asset_key=assets.HOLDS_ARE_DECIDED.asset_key,
        check_name=assets.HOLDS_ARE_DECIDED.name,
        passed=not levels,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"held": held, "incomplete": len(waiting) - held, "escalated": levels},
    )


@dg.sensor(
    job=process_deliveries,
    minimum_interval_seconds=3_600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Warns of deliveries held for 3, 10 or 30 days, or incomplete for a day.",
)
def ignored_holds(context: dg.SensorEvaluationContext, hub: HubResource) -> dg.SensorResult:
    """Warn when what waits becomes more urgent; the cursor holds what was told already."""
    at = now()
    with hub.open() as stores:
        waiting = stores.ledger.deliveries.list(states=WAITING)
    levels = _levels(waiting, at)
    told = " ".join(f"{name}:{level}" for name, level in sorted(levels.items()))
    if changed := told != (context.cursor or ""):
        for delivery in waiting:
            if delivery.deliveryId in levels:
                context.log.warning(_in_words(delivery, at))
    result = holds_are_decided(waiting, at)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=assets.HOLDS_ARE_DECIDED.asset_key,
        check_name=assets.HOLDS_ARE_DECIDED.name,
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata,
    )
    return dg.SensorResult(
        skip_reason=f"{len(waiting)} deliveries wait for an office, {len(levels)} for long.",
        cursor=told,
        asset_events=[evaluation] if changed else [],
    )


def _in_words(delivery: Delivery, at: datetime) -> str:
    if urgency := delivery.escalation(at):
        return f"{delivery.deliveryId} is held. {urgency.in_words}"
    since = f"{delivery.receivedAt:%Y-%m-%d}"
    return f"{delivery.deliveryId} is incomplete since {since}: upload it again, or withdraw it."


def _levels(waiting: Sequence[Delivery], at: datetime) -> dict[str, int]:
    """Return the level of every delivery that has waited for long; 1 for a dead upload."""
    urgencies = {delivery.deliveryId: delivery.escalation(at) for delivery in waiting}
    held = {name: found.level for name, found in urgencies.items() if found and found.level}
    dead = [
        delivery.deliveryId
        for delivery in waiting
        if delivery.state is State.INCOMPLETE and at - delivery.receivedAt >= DEAD_AFTER
    ]
    return held | dict.fromkeys(dead, 1)
