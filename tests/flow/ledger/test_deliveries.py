"""Deliveries and listing memory, on both databases."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import permutations, product
from typing import Any

import pytest

from connectors.ledger import Channel, DeliveredFile, Delivery, Ledger
from connectors.ledger.leases import LEASE
from ipregister.deliveries import NEXT, Kind, Receipt, State
from ipregister.errors import InvalidRequest, LedgerConflict, StoreError, UnknownDelivery
from ipregister.model import Right

AT = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)
HOUR = timedelta(hours=1)

Together = Callable[..., list[Any]]


def record(ledger: Ledger, content: str = "a", at: datetime = AT, **other: Any) -> Delivery:
    name = other.pop("name", f"{content}.zip")
    office = other.pop("office", "KH")
    files = [DeliveredFile(name, (content * 64)[:64], 5)]
    return ledger.deliveries.record(
        office, Right.TRADEMARKS, Kind.UPDATE, "sftp", files, at, "ipob_kh", **other
    )


def brought_to(ledger: Ledger, state: State, content: str = "a") -> Delivery:
    """Return a delivery in a state, by the shortest way there is."""
    if state in (State.RECEIVED, State.INCOMPLETE, State.REJECTED, State.DUPLICATE):
        return record(ledger, content, state=state)
    delivery = record(ledger, content)
    if state is State.WITHDRAWN:
        return ledger.deliveries.move(delivery.deliveryId, state, AT, "me")
    assert ledger.leases.claim(delivery.deliveryId, "w", AT)
    if state is State.CHECKING:
        return ledger.deliveries.get(delivery.deliveryId)
    return ledger.deliveries.move(delivery.deliveryId, state, AT, "w")


def test_a_delivery_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    files = [
        DeliveredFile("ឯកសារ_20260301_1.zip", "b" * 64, 2**40),
        DeliveredFile("x", "a" * 64, 0),
    ]
    made = ledger.deliveries.record(
        "KH", Right.DESIGNS, Kind.FULL_EXTRACTION, "api", files, AT, "client-1"
    )
    assert made == ledger.deliveries.get(made.deliveryId)
    assert made.files == tuple(files)
    assert made.receivedAt == AT
    assert made.channel is Channel.API
    assert made.document() == {
        "deliveryId": "KH-20260304-0001",
        "office": "KH",
        "right": "designs",
        "kind": "full_extraction",
        "channel": "api",
        "state": "received",
        "reason": None,
        "receivedAt": "2026-03-04T05:06:07.000890Z",
        "receivedBy": "client-1",
        "officeDate": "2026-03-01",
        "officeSequence": 1,
        "identity": made.identity,
        "files": [
            {"name": "ឯកសារ_20260301_1.zip", "sha256": "b" * 64, "bytes": 2**40},
            {"name": "x", "sha256": "a" * 64, "bytes": 0},
        ],
        "receipt": None,
        "findings": None,
        "durations": None,
        "hold": None,
        "heldAt": None,
        "escalation": None,
        "revertedAt": None,
        "revertedBy": None,
        "reversal": None,
    }


def test_deliveries_are_numbered_by_office_and_day(ledger: Ledger) -> None:
    made = [
        record(ledger, "a"),
        record(ledger, "b"),
        record(ledger, "c", office="TH"),
        record(ledger, "d", AT + 24 * HOUR),
        record(ledger, "a"),
    ]
    assert [delivery.deliveryId for delivery in made] == [
        "KH-20260304-0001",
        "KH-20260304-0002",
        "TH-20260304-0001",
        "KH-20260305-0001",
        "KH-20260304-0003",
    ]


def test_a_day_is_a_day_in_utc(ledger: Ledger) -> None:
    in_bangkok = datetime(2026, 3, 5, 3, 0, tzinfo=timezone(7 * HOUR))
    assert record(ledger, at=in_bangkok).deliveryId == "KH-20260304-0001"


def test_the_same_content_has_one_effect(ledger: Ledger) -> None:
    for n, state in enumerate(State):
        first = brought_to(ledger, state, f"{n:x}")
        again = record(ledger, f"{n:x}")
        if state in (State.REJECTED, State.WITHDRAWN, State.DUPLICATE):
            assert again.state is State.RECEIVED
        else:
            assert again.state is State.DUPLICATE
            assert again.reason == f"same content as delivery {first.deliveryId}"


def test_the_same_bytes_in_another_lane_are_another_delivery(ledger: Ledger) -> None:
    files = [DeliveredFile("x", "a" * 64, 1)]
    for kind in Kind:
        made = ledger.deliveries.record("KH", Right.PATENTS, kind, "local", files, AT, "me")
        assert made.state is State.RECEIVED


def test_a_delivery_without_files_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest, match="at least one file"):
        ledger.deliveries.record("KH", Right.PATENTS, Kind.TEST, "local", [], AT, "me")


def test_an_instant_without_time_zone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(StoreError, match="no time zone"):
        record(ledger, at=AT.replace(tzinfo=None))


def test_only_the_steps_of_the_domain_are_taken(ledger: Ledger) -> None:
    for n, (state, to) in enumerate(product(State, State)):
        delivery = brought_to(ledger, state, f"{n:02x}")
        before = ledger.audit.head()
        if to in NEXT[state]:
            moved = ledger.deliveries.move(delivery.deliveryId, to, AT + HOUR, "me", reason="why")
            assert (moved.state, moved.reason) == (to, "why")
            last = ledger.deliveries.events(delivery.deliveryId)[-1]
            assert (last.state, last.at, last.actor, last.reason) == (to, AT + HOUR, "me", "why")
            assert ledger.audit.entries(after=before.seq)[0].before == {"state": state}
        else:
            with pytest.raises(LedgerConflict, match=f"is {state} and can become"):
                ledger.deliveries.move(delivery.deliveryId, to, AT, "me")
            assert ledger.deliveries.get(delivery.deliveryId) == delivery
            assert ledger.audit.head() == before


def test_results_are_kept_with_the_delivery(ledger: Ledger) -> None:
    delivery = brought_to(ledger, State.CHECKING)
    receipt = Receipt(recordsRead=5, accepted=3, held=1, unchanged=1, inserted=2, updated=1)
    results = {"findings": {"error": 2}, "durations": {"read": 0.25}}
    held = ledger.deliveries.move(
        delivery.deliveryId, State.HELD, AT, "w", receipt=receipt, **results
    )
    released = ledger.deliveries.move(delivery.deliveryId, State.CHECKING, AT, "office")
    for answer in (held, released, ledger.deliveries.list()[0]):
        assert answer.receipt == receipt
        assert (answer.findings, answer.durations) == tuple(results.values())


@pytest.mark.parametrize(
    "receipt", [Receipt(recordsRead=2, accepted=1), Receipt(accepted=-1, held=1), Receipt(held=1)]
)
def test_a_receipt_that_does_not_add_up_is_refused(ledger: Ledger, receipt: Receipt) -> None:
    delivery = brought_to(ledger, State.CHECKING)
    with pytest.raises(StoreError, match="does not add up"):
        ledger.deliveries.move(delivery.deliveryId, State.PUBLISHED, AT, "w", receipt=receipt)
    assert ledger.deliveries.get(delivery.deliveryId).state is State.CHECKING


def test_a_step_from_a_state_that_has_passed_is_a_conflict(ledger: Ledger) -> None:
    delivery = brought_to(ledger, State.CHECKING)
    with pytest.raises(LedgerConflict, match="is checking, not held"):
        ledger.deliveries.move(delivery.deliveryId, State.PUBLISHED, AT, "me", expected=State.HELD)


def test_who_would_withdraw_what_was_published_is_told_what_takes_it_back(ledger: Ledger) -> None:
    delivery = brought_to(ledger, State.CHECKING)
    ledger.deliveries.move(delivery.deliveryId, State.PUBLISHED, AT, "w", receipt=Receipt())
    told = r"is published, not held \(revert one that was published\)"
    with pytest.raises(LedgerConflict, match=told):
        ledger.deliveries.move(delivery.deliveryId, State.WITHDRAWN, AT, "Sok", expected=State.HELD)


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.deliveries.get("KH-1"),
        lambda ledger: ledger.deliveries.events("KH-1"),
        lambda ledger: ledger.deliveries.move("KH-1", State.CHECKING, AT, "me"),
        lambda ledger: ledger.leases.claim("KH-1", "w", AT),
    ],
    ids=["get", "events", "move", "claim"],
)
def test_an_unknown_delivery_is_an_error(ledger: Ledger, ask: Callable[[Ledger], object]) -> None:
    with pytest.raises(UnknownDelivery, match="no delivery KH-1"):
        ask(ledger)


def test_the_offices_own_dates_make_the_order(ledger: Ledger) -> None:
    names = ["20251231_1.zip", "20260101_1.zip", "no date.zip"]
    for office, order in zip(
        ("KH", "LA", "MM", "PH", "SG", "TH"), permutations(names), strict=True
    ):
        for minute, name in enumerate(order):
            at = AT + timedelta(minutes=minute)
            record(ledger, "abc"[names.index(name)], at, name=name, office=office)
        waits = ledger.leases.waiting(office)
        assert [delivery.files[0].name for delivery in waits] == names
    assert ledger.leases.waiting("VN") == []


def test_only_what_has_to_be_processed_waits(ledger: Ledger) -> None:
    made = {state: brought_to(ledger, state, f"{n:x}") for n, state in enumerate(State)}
    received, checking = made[State.RECEIVED], made[State.CHECKING]
    held = made[State.HELD].deliveryId

    def waiting(at: datetime | None = None) -> set[str]:
        return {delivery.deliveryId for delivery in ledger.leases.waiting(at=at)}

    assert waiting() == waiting(AT + LEASE / 2) == {received.deliveryId}
    assert waiting(AT + LEASE) == {received.deliveryId, checking.deliveryId}
    ledger.deliveries.move(held, State.CHECKING, AT, "office", expected=State.HELD)
    assert waiting() == {received.deliveryId, held}


def test_the_history_is_listed_newest_first(ledger: Ledger) -> None:
    made = [record(ledger, content, AT + n * HOUR) for n, content in enumerate("abc")]
    names = [delivery.deliveryId for delivery in made]
    ledger.deliveries.move(names[1], State.WITHDRAWN, AT, "me")

    def listed(**wanted: Any) -> list[str]:
        return [delivery.deliveryId for delivery in ledger.deliveries.list(**wanted)]

    assert listed() == names[::-1]
    assert listed(limit=2) == names[:0:-1]
    assert listed(states=[State.WITHDRAWN]) == names[1:2]
    assert listed(office="KH", right=Right.TRADEMARKS) == names[::-1]
    assert listed(office="TH") == listed(right=Right.PATENTS) == listed(states=[]) == []


def test_a_lease_keeps_others_away_until_it_expires(ledger: Ledger) -> None:
    name = record(ledger).deliveryId
    deliveries, leases = ledger.deliveries, ledger.leases
    assert leases.claim(name, "first", AT)
    assert not leases.claim(name, "second", AT + LEASE / 2)
    assert leases.renew(name, "first", AT + LEASE / 2)
    assert not leases.claim(name, "second", AT + LEASE)
    assert leases.claim(name, "second", AT + 2 * LEASE)
    assert not leases.renew(name, "first", AT + 2 * LEASE)
    with pytest.raises(LedgerConflict, match="another worker"):
        deliveries.move(name, State.PUBLISHED, AT + 2 * LEASE, "first", worker="first")
    deliveries.move(name, State.PUBLISHED, AT + 2 * LEASE, "second", worker="second")
    assert not leases.claim(name, "third", AT + 9 * LEASE)
    assert [(event.state, event.actor, event.reason) for event in deliveries.events(name)] == [
        (State.RECEIVED, "ipob_kh", None),
        (State.CHECKING, "first", None),
        (State.CHECKING, "second", "taken over from first"),
        (State.PUBLISHED, "second", None),
    ]


def test_a_lease_taken_by_a_clock_that_was_ahead_keeps_nobody_away(ledger: Ledger) -> None:
    """Its worker is gone with a machine of which nothing is known."""
    name = record(ledger).deliveryId
    assert ledger.leases.claim(name, "gone", AT + timedelta(days=3650))
    assert [one.deliveryId for one in ledger.leases.waiting(at=AT)] == [name]
    assert ledger.leases.claim(name, "second", AT)
    assert ledger.leases.waiting(at=AT) == []


def test_of_several_workers_one_gets_the_delivery(ledger: Ledger, together: Together) -> None:
    names = [record(ledger, f"{n:x}").deliveryId for n in range(16)]
    work = f"result = [ledger.leases.claim(name, str(number), AT) for name in {names}]"
    for claims in zip(*together(2, work), strict=True):
        assert sorted(claims) == [False, True]
    assert all(len(ledger.deliveries.events(name)) == 2 for name in names)
    assert ledger.verify() is None


def test_the_same_content_by_two_doors_at_once_is_received_once(
    ledger: Ledger, together: Together
) -> None:
    work = """
result = []
for n in range(10):
    files = [DeliveredFile("x", f"{n}" * 64, 1)]
    made = ledger.deliveries.record("KH", Right.PATENTS, Kind.UPDATE, "api", files, AT, "me")
    result.append(made.state)
"""
    for states in zip(*together(3, work), strict=True):
        assert sorted(states) == ["duplicate", "duplicate", "received"]
    assert len({delivery.deliveryId for delivery in ledger.deliveries.list()}) == 30
    assert ledger.verify() is None


def test_change_numbers_are_given_once(ledger: Ledger, together: Together) -> None:
    work = """
result = [ledger.deliveries.allocate(Right.DESIGNS, n) for n in range(1, 31)]
"""
    firsts = together(3, work)
    given = [
        number
        for process in firsts
        for count, first in enumerate(process, 1)
        for number in range(first, first + count)
    ]
    assert sorted(given) == list(range(1, 3 * 465 + 1))
    assert all(process == sorted(process) for process in firsts)
    assert ledger.deliveries.allocate(Right.PATENTS, 5) == 1


def test_file_names_that_are_no_text_become_readable(ledger: Ledger) -> None:
    made = record(ledger, name="a\udcff\0.zip", reason="named a\udcff")
    assert made.files[0].name == "a\\udcff\\x00.zip"
    assert made.document()["reason"] == "named a\\udcff"
    assert ledger.verify() is None


# --- what was seen at the offices ------------------------------------------------------------


def test_a_file_is_new_until_it_was_seen(ledger: Ledger) -> None:
    seen = ledger.observations
    paths = ["/ipob_kh/a.zip", "/ipob_kh/b\udcff\\x41.zip", "/ipob_kh/c\0"]
    first = seen.see_all("KH", [(path, 2**40, 1_700_000_000) for path in paths], AT)
    again = seen.see_all("KH", [(path, 2**40, 1_700_000_000) for path in paths], AT + HOUR)
    assert first == again == dict.fromkeys(paths, AT)
    assert set(seen.known("KH")) == set(paths)
    assert seen.known("TH") == {}


@pytest.mark.parametrize(("size", "mtime"), [(2, 1), (1, 0), (1, 2)])
def test_a_changed_file_is_forgotten_as_it_was(ledger: Ledger, size: int, mtime: int) -> None:
    seen = ledger.observations
    seen.see_all("KH", [("/a", 1, 1)], AT)
    old = ("/a", 1, 1)
    seen.set_digests("KH", {old: "f" * 64})
    seen.set_delivery("KH", [old], "KH-1")
    known = seen.known("KH")["/a"]
    assert (known.sha256, known.deliveryId, known.firstSeenAt) == ("f" * 64, "KH-1", AT)
    assert seen.see_all("KH", [("/a", size, mtime)], AT + HOUR) == {"/a": AT + HOUR}
    # Who has taken the old one meanwhile says so of that one.
    seen.set_digests("KH", {old: "f" * 64})
    seen.set_delivery("KH", [old], "KH-1")
    known = seen.known("KH")["/a"]
    assert (known.size, known.mtime, known.sha256, known.deliveryId) == (size, mtime, None, None)


def test_dates_survive_the_database(ledger: Ledger) -> None:
    day = date(2025, 12, 31)
    assert record(ledger, office_day=day, name="20260101.zip").officeDate == day


def test_a_day_in_the_future_is_read_from_the_names_instead(ledger: Ledger) -> None:
    tomorrow = AT.date() + timedelta(days=1)
    assert record(ledger, office_day=tomorrow, name="20260101.zip").officeDate == tomorrow
    later = record(ledger, office_day=tomorrow + timedelta(days=1), name="b_20260101.zip")
    assert later.officeDate == date(2026, 1, 1)
