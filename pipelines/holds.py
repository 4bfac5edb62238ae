"""Holds nobody decides, as Dagster shows them: a check a person can run, a sensor that warns.

A warning is all that waiting brings about; only a person releases a delivery.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import dagster as dg

from connectors.ledger import Delivery
from ipregister.deliveries import State
from pipelines import assets
from pipelines.jobs import now, process_deliveries
from pipelines.resources import HubResource


@dg.multi_asset_check(
    specs=[assets.HOLDS_ARE_DECIDED],
    description="Judge whether offices decide what is held for them.",
)
def held_deliveries(hub: HubResource) -> Iterator[dg.AssetCheckResult]:
    """Yield the one result."""
    with hub.open() as stores:
        held = stores.ledger.deliveries.list(states=[State.HELD])
    yield holds_are_decided(held, now())


def holds_are_decided(held: Sequence[Delivery], at: datetime) -> dg.AssetCheckResult:
    """Return whether no delivery has been held for long, and which have, how urgently."""
    levels = _levels(held, at)
    return dg.AssetCheckResult(
        asset_key=assets.HOLDS_ARE_DECIDED.asset_key,
        check_name=assets.HOLDS_ARE_DECIDED.name,
        passed=not levels,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"held": len(held), "escalated": levels},
    )


@dg.sensor(
    job=process_deliveries,
    minimum_interval_seconds=3_600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Warns of deliveries that have been held for 3, 10 or 30 days.",
)
def ignored_holds(context: dg.SensorEvaluationContext, hub: HubResource) -> dg.SensorResult:
    """Warn when a hold becomes more urgent; the cursor holds what was told already."""
    at = now()
    with hub.open() as stores:
        held = stores.ledger.deliveries.list(states=[State.HELD])
    levels = _levels(held, at)
    told = " ".join(f"{name}:{level}" for name, level in sorted(levels.items()))
    if changed := told != (context.cursor or ""):
        for delivery in held:
            if delivery.deliveryId in levels and (urgency := delivery.escalation(at)):
                context.log.warning(f"{delivery.deliveryId} is held. {urgency.in_words}")
    result = holds_are_decided(held, at)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=assets.HOLDS_ARE_DECIDED.asset_key,
        check_name=assets.HOLDS_ARE_DECIDED.name,
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata,
    )
    return dg.SensorResult(
        skip_reason=f"{len(held)} deliveries are held, {len(levels)} of them for long.",
        cursor=told,
        asset_events=[evaluation] if changed else [],
    )


def _levels(held: Sequence[Delivery], at: datetime) -> dict[str, int]:
    """Return the level of every hold that has one."""
    urgencies = {delivery.deliveryId: delivery.escalation(at) for delivery in held}
    return {name: found.level for name, found in urgencies.items() if found and found.level}
