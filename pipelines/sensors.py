"""What starts runs: files on the offices' SFTP server, deliveries that wait, the night."""

import hashlib
from datetime import datetime

import dagster as dg

from connectors.collection.collecting import collect_offices
from connectors.collection.pacing import Patience
from connectors.ledger import Contact, Delivery
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from pipelines import assets
from pipelines.begun import places_begun
from pipelines.checks import offices_reachable
from pipelines.jobs import maintain_register, now, process_deliveries
from pipelines.partitions import partition
from pipelines.resources import HubResource
from pipelines.workers import end_dead_runs, is_dead

MAX_DELIVERIES, MAX_BYTES = 500, 1 << 30
"""What one run takes: beyond either, the rest waits for the next tick; one it always takes."""

BETWEEN_TICKS = Patience(answer_seconds=15, pass_seconds=30, pauses=(1, 5))
"""Dagster gives a tick 60 s; a large file goes on at the next."""


def _requests(waiting: list[Delivery], attempts: dict[str, int]) -> list[dg.RunRequest]:
    """Return one run for all updates, and one for each full extraction.

    The key of a run holds how often each delivery was tried: the same attempt is requested
    once, a new attempt (released by the office, given up by a worker) is another run.
    """
    batches: list[list[str]] = []
    updates: list[str] = []
    size = 0
    for delivery in waiting:
        if delivery.kind is Kind.FULL_EXTRACTION:
            batches.append([delivery.deliveryId])
            continue
        size += sum(file.bytes for file in delivery.files)
        # The first is taken whatever its size: it is not smaller at the next tick.
        if not updates or (len(updates) < MAX_DELIVERIES and size <= MAX_BYTES):
            updates.append(delivery.deliveryId)
    if updates:
        batches.append(updates)
    return [_request(batch, attempts) for batch in batches]


def _request(delivery_ids: list[str], attempts: dict[str, int]) -> dg.RunRequest:
    attempted = "\n".join(f"{name} {attempts[name]}" for name in delivery_ids)
    return dg.RunRequest(
        run_key=hashlib.sha256(attempted.encode()).hexdigest()[:32],
        run_config={"ops": {"process_waiting": {"config": {"delivery_ids": delivery_ids}}}},
        tags={"iphub/deliveries": str(len(delivery_ids))},
    )


def _finishing(begun: list[tuple[str, Right]], at: datetime) -> dg.RunRequest:
    """Return a run for what was begun, at most one in ten minutes: who began it may be at it."""
    places = " ".join(partition(*place) for place in begun)
    return dg.RunRequest(run_key=f"{places} {at:%Y%m%dT%H%M}"[:-1])


@dg.sensor(
    job=process_deliveries,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all deliveries that wait.",
)
def waiting_deliveries(
    context: dg.SensorEvaluationContext, hub: HubResource
) -> dg.SensorResult | dg.SkipReason:
    """Request runs for what waits; a released or abandoned delivery waits again.

    Every run also finishes what was begun; there is one for that when nothing else waits.
    """
    end_dead_runs(context.instance)
    with hub.open() as stores:
        stores.ledger.leases.end(is_dead, now())
        waiting = stores.ledger.leases.waiting(at=now())
        attempts = {
            d.deliveryId: len(stores.ledger.deliveries.events(d.deliveryId)) for d in waiting
        }
        begun = places_begun(stores)
    if not waiting and begun:
        return dg.SensorResult(run_requests=[_finishing(begun, now())])
    if not waiting:
        return dg.SkipReason("No delivery waits.")
    return dg.SensorResult(run_requests=_requests(waiting, attempts))


@dg.sensor(
    minimum_interval_seconds=15,
    job=process_deliveries,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fetches new files from the offices' folders on the SFTP server.",
)
def sftp_arrivals(
    context: dg.SensorEvaluationContext, hub: HubResource
) -> dg.SensorResult | dg.SkipReason:
    """Collect once; what arrived is processed by ``waiting_deliveries``.

    The cursor holds the offices a person must look at; the asset check is evaluated when they
    change.
    """
    at = now()
    with hub.open() as stores:
        if stores.settings.sftp is None:
            return dg.SkipReason("No SFTP server is configured (IPHUB_SFTP).")
        reports = collect_offices(stores, at=at, patience=BETWEEN_TICKS)
        contacts = stores.ledger.contacts.all()
    arrived = [delivery for report in reports for delivery in report.deliveries]
    # An incomplete one is looked at again at every tick, until its office uploads it anew.
    incomplete = sum(delivery.state is State.INCOMPLETE for delivery in arrived)
    visited = [report for report in reports if report.visited]
    for report in visited:
        if report.error is not None:
            context.log.warning(f"{report.office}: {report.error}")
    troubled = ",".join(contact.office for contact in contacts if contact.needs_person(at))
    changed = troubled != (context.cursor or "")
    if changed and troubled:
        context.log.error(f"A person must look at the SFTP collection of {troubled}.")
    return dg.SensorResult(
        skip_reason=(
            f"{len(visited)} offices looked at, {len(arrived) - incomplete} deliveries arrived, "
            f"{incomplete} incomplete."
        ),
        cursor=troubled,
        asset_events=[_reachable(contacts, at)] if changed else [],
    )


def _reachable(contacts: list[Contact], at: datetime) -> dg.AssetCheckEvaluation:
    result = offices_reachable(contacts, at)
    return dg.AssetCheckEvaluation(
        asset_key=assets.OFFICES_REACHABLE.asset_key,
        check_name=assets.OFFICES_REACHABLE.name,
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata,
    )


nightly_maintenance = dg.ScheduleDefinition(
    job=maintain_register,
    cron_schedule="15 18 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Fold, compact and vacuum at 01:15 in Bangkok, Hanoi, Jakarta and Phnom Penh.",
)
