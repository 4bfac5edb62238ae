"""The journey of one delivery, from landing to readers.

Says in what order things happen and what each outcome means for the delivery; how to read,
judge, compare and publish is the connectors'. Every step may be repeated after a crash.
"""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from time import perf_counter

import structlog

from connectors.between_steps import is_decided
from connectors.changes import Changes
from connectors.checking import (
    Checked,
    collect_findings,
    first_message,
    note_comparison,
)
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.publication import append_to_register, publish_to_serving
from connectors.register.difference import MANIFEST, Difference, difference
from connectors.register.manifests import keep_manifest
from ipregister.deliveries import Kind, Receipt, State
from ipregister.errors import StoreError
from ipregister.holds import HoldCode, failed
from ipregister.report_words import count_of
from pipelines.begun import finish_begun
from pipelines.guarding import close_announcement, hold_of, withdraw_superseded
from pipelines.journey import (
    Decided,
    Journey,
    decided_before,
    earlier_findings,
    manifest_of,
    move,
    newer_deliveries,
    remember,
    remembered,
    was_held,
)
from pipelines.reading import read_delivery

log = structlog.get_logger()

QUIET_SEVERITIES = frozenset({"info"})
"""Findings that leave a delivery simply ``published``."""

MAX_ATTEMPTS = 3
"""A delivery that fails so often is held; trying for ever would hide a defect of ours."""


def process_delivery(
    hub: Hub, delivery_id: str, *, worker: str, clock: Callable[[], datetime]
) -> Delivery | None:
    """Take one waiting delivery to its end.

    Args:
        hub: the stores.
        delivery_id: which delivery.
        worker: who works on it, for the ledger.
        clock: gives the instant (UTC) of each step in the ledger.

    Returns:
        The delivery in its new state; ``None`` when another worker has it.

    Raises:
        HubError: we cannot go on; the delivery still waits and nothing of it is visible.
    """
    if not hub.ledger.leases.claim(delivery_id, worker, clock()):
        return None
    reach("delivery.claimed")
    journey = Journey(hub, hub.ledger.deliveries.get(delivery_id), worker, clock)
    log.info("delivery_started", delivery_id=delivery_id, worker=worker)
    with hub.alone(journey.delivery.office, journey.delivery.right):
        finish_begun(hub, journey.delivery.office, journey.delivery.right, by=worker, clock=clock)
        if is_decided(hub, delivery_id):
            done = _publish(journey, remembered(journey))
        else:
            _finish_decided(journey)
            done = _check_and_publish(journey)
    reach("delivery.moved")
    shutil.rmtree(journey.directory, ignore_errors=True)
    reach("delivery.cleared")
    log.info("delivery_finished", delivery_id=delivery_id, state=done.state)
    return done


def _finish_decided(journey: Journey) -> None:
    """Publish what was decided of the same office and right before its worker died.

    What comes next must be compared with it, and it with nothing that came next.

    Raises:
        StoreError: it belongs to a worker of whom it is not known yet that it died.
    """
    hub, delivery = journey.hub, journey.delivery
    for other in decided_before(journey):
        if not hub.ledger.leases.claim(other.deliveryId, journey.worker, journey.clock()):
            raise StoreError(
                f"delivery {other.deliveryId} was decided and must be published first",
                deliveryId=delivery.deliveryId,
            )
        unfinished = Journey(hub, other, journey.worker, journey.clock)
        _publish(unfinished, remembered(unfinished))
        shutil.rmtree(unfinished.directory, ignore_errors=True)


def give_back(hub: Hub, delivery_id: str, trouble: Exception, *, worker: str, at: datetime) -> None:
    """Let a delivery wait again that we failed to process; after three attempts, hold it.

    Args:
        hub: the stores.
        delivery_id: which delivery.
        trouble: what stopped us; only its kind is written down, never its text.
        worker: who failed.
        at: now.
    """
    deliveries = hub.ledger.deliveries
    if deliveries.get(delivery_id).state is not State.CHECKING:
        return
    attempts = _attempts(event.state for event in deliveries.events(delivery_id))
    kind = getattr(trouble, "code", type(trouble).__name__)
    log.error("delivery_failed", delivery_id=delivery_id, trouble=kind, attempts=attempts)
    if attempts < MAX_ATTEMPTS:
        reason = f"The hub could not process it ({kind}) and will try again."
        deliveries.move(delivery_id, State.RECEIVED, at, worker, reason=reason)
    else:
        because = f"the hub failed {attempts} times to process it ({kind})"
        hold = failed(HoldCode.PROCESSING_FAILED, because)
        deliveries.move(
            delivery_id, State.HELD, at, worker, reason=hold.reason, hold=hold.document()
        )


def _attempts(states: Iterable[State]) -> int:
    """Return how often a delivery was taken since it came, or since somebody released it."""
    attempts = 0
    for state in states:
        if state is State.HELD:
            attempts = -1  # its release brings it to ``CHECKING``, too, and takes it nowhere
        elif state is State.CHECKING:
            attempts += 1
    return attempts


def _check_and_publish(journey: Journey) -> Delivery:
    delivery, hub = journey.delivery, journey.hub
    checked, arriving = read_delivery(hub, delivery, journey.directory)
    journey.durations |= {step: round(seconds, 4) for step, seconds in checked.durations.items()}
    started = perf_counter()
    changes = difference(
        hub.register,
        replace(arriving, newer=newer_deliveries(journey)),
        journey.directory / "plan.parquet",
    )
    note_comparison(checked, delivery.office, delivery.right, delivery.kind, changes)
    findings = collect_findings(
        checked, hub.home.findings(delivery.deliveryId), earlier_findings(journey)
    )
    journey.timed("compare", started)
    if ending := _ending(journey, checked, changes):
        state, reason, receipt = ending
        return move(journey, state, receipt, findings, reason)
    if was_held(journey):
        close_announcement(journey, changes.receipt.vanished)
    elif hold := hold_of(journey, checked, changes):
        receipt = _all_held(changes.receipt)
        keep_manifest(changes.plan.with_name(MANIFEST), manifest_of(hub, delivery))
        return move(journey, State.HELD, receipt, findings, hold.reason, hold=hold)
    reach("compare.finished")
    # Once it is visible it is too late to find that it cannot be told.
    hub.ledger.deliveries.refuse_wrong_sums(changes.receipt, changes.amendments)
    decided = Decided(
        plan=changes.plan,
        rows=tuple(checked.staged.rows),
        first_change=hub.ledger.deliveries.allocate(delivery.right, changes.changes)
        if changes.changes
        else 0,
        receipt=changes.receipt,
        findings=findings,
        amendments=changes.amendments,
    )
    reach("changes.numbered")
    remember(journey, decided)
    return _publish(journey, decided)


def _ending(
    journey: Journey, checked: Checked, changes: Difference
) -> tuple[State, str | None, Receipt] | None:
    """Return how a delivery ends that is not published, or ``None``."""
    delivery, staged, receipt = journey.delivery, checked.staged, changes.receipt
    if delivery.kind is Kind.TEST:
        hold = hold_of(journey, checked, changes)
        expected = f" As an update it would be held: {hold.because}" if hold else ""
        return State.TEST_ONLY, f"Dry run: nothing was published.{expected}", receipt
    if staged.read and staged.read == staged.rejected:
        return (
            State.REJECTED,
            f"No record could be read. {first_message(checked.findings)}",
            _nothing_changed(receipt),
        )
    return None


def _all_held(receipt: Receipt) -> Receipt:
    """Return the receipt of a delivery that waits: what would have been accepted is held."""
    return _nothing_changed(replace(receipt, held=receipt.held + receipt.accepted, accepted=0))


def _nothing_changed(receipt: Receipt) -> Receipt:
    """Return a receipt without what the register would have done."""
    return replace(receipt, inserted=0, updated=0, vanished=0, restored=0)


def _publish(journey: Journey, decided: Decided) -> Delivery:
    with journey.hub.gate.passing():
        return _publish_inside(journey, decided)


def _write(journey: Journey, changes: Changes) -> None:
    """Append to the log and file for readers side by side; readers see it after the log has it.

    When the log fails, what was filed is rolled back; when the filing fails, the log is
    finished and the next attempt finds it so.
    """
    hub, started = journey.hub, perf_counter()

    def append() -> float:
        append_to_register(hub.register, changes)
        return perf_counter() - started

    with ThreadPoolExecutor(1, "append") as beside:
        appended = beside.submit(append)
        publish_to_serving(hub.register, hub.serving, changes, journey.clock(), appended.result)
    journey.durations["append"] = round(appended.result(), 4)
    journey.timed("publish", started)


def _publish_inside(journey: Journey, decided: Decided) -> Delivery:
    delivery, hub = journey.delivery, journey.hub
    reach("publish.entered")
    keep_manifest(decided.plan.with_name(MANIFEST), manifest_of(hub, delivery))
    reach("publish.manifest")
    if decided.first_change:
        changes = Changes(
            delivery_id=delivery.deliveryId,
            office=delivery.office,
            right=delivery.right,
            plan=decided.plan,
            rows=decided.rows,
            first_change=decided.first_change,
            at=delivery.receivedAt,
        )
        _write(journey, changes)
        reach("publish.served")
    withdraw_superseded(journey)
    has_findings = any(
        count for name, count in decided.findings.items() if name not in QUIET_SEVERITIES
    )
    state = State.PUBLISHED_WITH_FINDINGS if has_findings else State.PUBLISHED
    held = decided.receipt.held
    stays = "stays held: it has" if held == 1 else "stay held: they have"
    reason = f"{count_of(held, 'record')} {stays} a critical finding." if held else None
    return move(
        journey, state, decided.receipt, decided.findings, reason, amendments=decided.amendments
    )
