"""Whether a compared delivery may go on: measure, judge, and let an announced purge pass.

A guard that fails holds: what could not be judged is not published. What is judged is
``ipregister.guards``; what becomes of a held delivery, ``ingest`` says.
"""

from dataclasses import replace
from datetime import UTC, timedelta

import structlog

from connectors.checking import Checked, records_with
from connectors.ledger import Delivery
from connectors.register.difference import Difference
from connectors.register.guard_measures import Compared, measure, still_lost, write_missing
from connectors.staging.stage import WRONG_OFFICE
from ipregister.deliveries import EFFECTIVE, Kind, State
from ipregister.errors import LedgerConflict
from ipregister.guard_limits import GuardLimits
from ipregister.guards import judge
from ipregister.holds import PURGES, Hold, HoldCode, failed
from ipregister.profiles import load_profile
from ipregister.report_words import count_of
from pipelines.journey import Journey

log = structlog.get_logger()

SUPERSEDED_BY = "hub"
"""Who withdraws what a newer full extraction makes pointless."""


def hold_of(journey: Journey, checked: Checked, changes: Difference) -> Hold | None:
    """Return why a delivery must wait for its office, or ``None``.

    The records that would disappear are written into a file beside the hold. A dry run is judged
    as an update would be, and leaves nothing behind.
    """
    try:
        return _judged(journey, checked, changes)
    except Exception as exc:  # whatever it is, what was not judged must not be published
        name = journey.delivery.deliveryId
        log.error("guard_failed", delivery_id=name, trouble=type(exc).__name__, exc_info=True)
        because = f"the hub could not judge whether it is plausible ({type(exc).__name__})"
        return failed(HoldCode.GUARD_FAILED, because)


def _judged(journey: Journey, checked: Checked, changes: Difference) -> Hold | None:
    delivery, hub = journey.delivery, journey.hub
    limits = load_profile(delivery.office).format_of(delivery.right).guards
    compared = _compared(journey, checked, changes, limits)
    hold = judge(measure(hub.register, compared, limits), limits)
    if delivery.kind is Kind.TEST:
        return hold
    if hold is None or (hold.is_purge and _was_announced(journey, hold.wouldDisappear)):
        return None
    return replace(hold, note=_not_excused(journey, hold)).explained(
        *write_missing(hub.register, compared, hub.home.missing(delivery.deliveryId))
    )


def _compared(
    journey: Journey, checked: Checked, changes: Difference, limits: GuardLimits
) -> Compared:
    delivery, receipt = journey.delivery, changes.receipt
    return Compared(
        office=delivery.office,
        right=delivery.right,
        kind=Kind.UPDATE if delivery.kind is Kind.TEST else delivery.kind,
        plan=changes.plan,
        rows=checked.staged.rows,
        had=changes.had,
        in_this_file=receipt.recordsRead - receipt.rejected - receipt.duplicates,
        read=receipt.recordsRead,
        rejected=receipt.rejected,
        foreign=records_with(WRONG_OFFICE, checked.findings),
        declared=checked.staged.declared,
        lost_before=_lost_before(journey, limits) if receipt.vanished else 0,
    )


def withdraw_superseded(journey: Journey) -> None:
    """Withdraw what is held behind a full extraction that takes effect: nothing depends on it.

    A full extraction says everything anew, so an older one, and an older update, could change
    nothing that readers see. Updates never supersede: they say what they say and no more.
    """
    delivery, deliveries = journey.delivery, journey.hub.ledger.deliveries
    if delivery.kind is not Kind.FULL_EXTRACTION:
        return
    held = deliveries.list(office=delivery.office, right=delivery.right, states=[State.HELD])
    reason = f"superseded by {delivery.deliveryId}, a newer full extraction that took effect"
    for older in held:
        if older.order > delivery.order:
            continue
        try:
            deliveries.move(
                older.deliveryId,
                State.WITHDRAWN,
                journey.clock(),
                SUPERSEDED_BY,
                reason=reason,
                expected=State.HELD,
            )
        except LedgerConflict:  # somebody decided it at this moment, and a person's word counts
            log.info("supersede_skipped", delivery_id=older.deliveryId)


def close_announcement(journey: Journey, vanishing: int) -> None:
    """Use up what the office announced, when it has released by hand what it was about.

    Left open it would let another loss of this size pass.
    """
    hold = journey.delivery.hold
    if hold is not None and PURGES.intersection(hold["codes"]):
        _was_announced(journey, vanishing)


def _was_announced(journey: Journey, vanishing: int) -> bool:
    """Use up the office's approval of a purge of this size, if it gave one."""
    delivery = journey.delivery
    approval = journey.hub.ledger.purges.take(
        delivery.office,
        delivery.right,
        vanishing=vanishing,
        delivery_id=delivery.deliveryId,
        at=journey.clock(),
        by=journey.worker,
    )
    return approval is not None


def _not_excused(journey: Journey, hold: Hold) -> str | None:
    """Return why what the office announced, if anything, does not let a delivery pass."""
    delivery, today = journey.delivery, journey.clock().astimezone(UTC).date()
    most = max(
        (
            each.upTo
            for each in journey.hub.ledger.purges.list(delivery.office, delivery.right)
            if each.is_open(today)
        ),
        default=None,
    )
    if most is None or not hold.wouldDisappear:
        return None
    if hold.is_purge:
        return f"The purge you announced covers {count_of(most, 'record')} at most."
    return "The purge you announced covers records that disappear, and nothing else."


def _lost_before(journey: Journey, limits: GuardLimits) -> int:
    """Return how many records disappeared within the rolling days, unasked and for good."""
    delivery = journey.delivery
    since = delivery.receivedAt - timedelta(days=limits.rolling_days)
    earlier = journey.hub.ledger.deliveries.list(
        office=delivery.office,
        right=delivery.right,
        states=EFFECTIVE,
    )
    recent = [
        other.deliveryId
        for other in earlier
        if since < other.receivedAt < delivery.receivedAt
        and other.receipt is not None
        and other.receipt.vanished
        and not _was_asked(journey, other)
    ]
    return still_lost(journey.hub.register, delivery.right, delivery.office, recent)


def _was_asked(journey: Journey, other: Delivery) -> bool:
    """Tell whether the office has said yes to what a delivery removed, or took it back."""
    if other.hold is not None or other.revertedAt is not None:
        return True
    return journey.hub.ledger.purges.of(other.deliveryId) is not None
