"""Why deliveries wait, announced purges and reversals in the ledger, on both databases."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from connectors.ledger import DeliveredFile, Delivery, Ledger
from ipregister.deliveries import Kind, Receipt, State
from ipregister.errors import InvalidRequest, LedgerConflict
from ipregister.model import Right

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
DAY = timedelta(days=1)
MARKS = Right.TRADEMARKS
HOLD = {"code": "mass_vanish", "codes": ["mass_vanish"], "had": 100}


def claimed(ledger: Ledger, content: str = "a") -> Delivery:
    files = [DeliveredFile(f"{content}.zip", content * 64, 5)]
    delivery = ledger.deliveries.record("KH", MARKS, Kind.UPDATE, "sftp", files, AT, "ipob_kh")
    assert ledger.leases.claim(delivery.deliveryId, "w", AT)
    return delivery


def moved(ledger: Ledger, delivery: Delivery, to: State, **more: Any) -> Delivery:
    at = more.pop("at", AT)
    return ledger.deliveries.move(delivery.deliveryId, to, at, "w", **more)


def approve(ledger: Ledger, up_to: int = 60, **more: Any) -> Any:
    return ledger.purges.approve("KH", MARKS, up_to=up_to, at=AT, by="Som", reason="old", **more)


def take(
    ledger: Ledger,
    delivery: str,
    vanishing: int = 60,
    at: datetime = AT,
    *,
    office: str = "KH",
    right: Right = MARKS,
) -> Any:
    return ledger.purges.take(
        office, right, vanishing=vanishing, delivery_id=delivery, at=at, by="worker"
    )


def test_a_hold_is_kept_and_its_time_ends_with_the_decision(ledger: Ledger) -> None:
    held = moved(ledger, claimed(ledger), State.HELD, hold=HOLD)
    assert (held.hold, held.heldAt) == (HOLD, AT)
    assert held.document(AT + 12 * DAY)["escalation"]["level"] == 2
    released = moved(ledger, held, State.CHECKING)
    assert (released.hold, released.heldAt) == (HOLD, None)
    assert released.document(AT + 12 * DAY)["escalation"] is None


def test_an_approval_is_for_one_delivery_of_its_size_and_time(ledger: Ledger) -> None:
    last = approve(ledger)
    soon = approve(ledger, until=date(2026, 3, 20))
    small = approve(ledger, up_to=59, until=date(2026, 3, 5))
    assert [last.until, soon.until] == [date(2026, 4, 3), date(2026, 3, 20)]
    assert take(ledger, "d1", 61) is None
    assert take(ledger, "d1", 1, office="VN") is None
    assert take(ledger, "d1", 1, right=Right.DESIGNS) is None
    # Of those that cover it the one that ends first; the small one does not cover it.
    assert take(ledger, "d1").approvalId == soon.approvalId
    assert take(ledger, "d1").usedAt == AT  # again for the same delivery
    assert take(ledger, "d1", 61) is None  # which it covered as it was, and no more
    # The small one has ended; this is the last day of the other.
    assert take(ledger, "d2", 59, AT + 30 * DAY).approvalId == last.approvalId
    assert take(ledger, "d3", 1, AT + 30 * DAY) is None
    assert [each.usedBy for each in ledger.purges.list("KH", MARKS)] == [None, "d1", "d2"]
    assert ledger.purges.list("VN") == ledger.purges.list("KH", Right.DESIGNS) == []
    assert small.approvalId == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"up_to": 0},
        {"reason": " "},
        {"until": date(2026, 3, 3)},
        {"until": date(2569, 3, 20)},
    ],
    ids=str,
)
def test_an_approval_needs_a_number_a_reason_and_a_day_to_come(
    ledger: Ledger, wrong: dict[str, Any]
) -> None:
    given = {"up_to": 1, "at": AT, "by": "Som", "reason": "old"} | wrong
    with pytest.raises(InvalidRequest):
        ledger.purges.approve("KH", MARKS, **given)


def test_an_approval_that_is_taken_back_covers_nothing(ledger: Ledger) -> None:
    wrong, right = approve(ledger, 600, until=AT.date()), approve(ledger)
    told = {"at": AT, "by": "Lim", "reason": "one nought too many"}
    gone = ledger.purges.withdraw("KH", wrong.approvalId, **told)
    assert (gone.withdrawnAt, gone.withdrawnBy, gone.usedBy) == (AT, "Lim", None)
    entry = ledger.audit.entries()[-1]
    assert (entry.action, entry.actor) == ("purge:withdrawn", "Lim")
    assert entry.after["withdrawnReason"] == "one nought too many"
    assert ledger.purges.get("KH", wrong.approvalId) == gone
    assert take(ledger, "d1", 61) is None
    assert take(ledger, "d1").approvalId == right.approvalId
    for number, because in ((1, "taken back by Lim"), (2, "used by d1: revert that delivery")):
        with pytest.raises(LedgerConflict, match=because):
            ledger.purges.withdraw("KH", number, **told)
    ended = approve(ledger, until=AT.date()).approvalId
    with pytest.raises(LedgerConflict, match="ended unused on"):
        ledger.purges.withdraw("KH", ended, **told | {"at": AT + 2 * DAY})
    for office, number in (("KH", 99), ("VN", ended)):
        with pytest.raises(InvalidRequest, match=f"{office} has no announced purge {number}"):
            ledger.purges.withdraw(office, number, **told)
    with pytest.raises(InvalidRequest, match="say why"):
        ledger.purges.withdraw("KH", ended, **told | {"reason": " "})


def test_several_workers_use_an_approval_once(
    ledger: Ledger, together: Callable[..., list[Any]]
) -> None:
    approve(ledger)
    found = together(
        4,
        "result = (lambda a: a and a.usedBy)(ledger.purges.take('KH', Right.TRADEMARKS, "
        "vanishing=1, delivery_id=f'd{number}', at=AT, by='w'))",
        before="ledger = Ledger.open(url)",
    )
    assert sum(each is not None for each in found) == 1


def test_a_reverted_delivery_keeps_its_state_and_leaves_room_for_its_content(
    ledger: Ledger,
) -> None:
    receipt = Receipt(recordsRead=1, accepted=1, inserted=1)
    first = moved(ledger, claimed(ledger), State.PUBLISHED, receipt=receipt)
    newer = moved(ledger, claimed(ledger, "b"), State.PUBLISHED, receipt=receipt)
    revert = ledger.reversals
    taken = revert.decide(first.deliveryId, at=AT + DAY, by="Som", reason="regret")
    assert (taken.state, taken.revertedAt, taken.revertedBy) == (State.PUBLISHED, AT + DAY, "Som")
    assert [each.deliveryId for each in revert.unfinished("KH", MARKS)] == [first.deliveryId]
    change = {newer.deliveryId: {"inserted": -1, "accepted": -1, "unchanged": 1}}
    for _ in range(2):  # carried out twice is carried out once
        done = revert.finish(
            first.deliveryId, counts={"removed": 1}, amendments=change, at=AT, by="w"
        )
    assert done.reversal == {"removed": 1}
    amended = ledger.deliveries.get(newer.deliveryId)
    assert (amended.receipt.unchanged, amended.receipt.accepted) == (1, 0)  # type: ignore[union-attr]
    assert revert.unfinished("KH", MARKS) == []
    again = claimed(ledger)
    assert again.state is State.RECEIVED
    with pytest.raises(LedgerConflict, match="is being processed"):
        revert.decide(newer.deliveryId, at=AT, by="Som", reason="regret")
    assert ledger.verify() is None
