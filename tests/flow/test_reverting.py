"""A delivery that is taken back counts as if it had never come, whatever comes in whatever order.

The oracle is a second hub that never got the delivery.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import pipelines.reverting as reverting
from connectors.coverage import coverage
from connectors.exports import builder
from connectors.exports.formats import Format
from connectors.exports.tasks import Task
from ipregister.authorizations import Grant
from ipregister.deliveries import Kind, State
from ipregister.errors import InvalidRequest, LedgerConflict
from ipregister.model import Disclosure, Right
from pipelines.reverting import finish_reverts, revert
from pipelines.running import process_until_idle

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE
MARKS = Right.TRADEMARKS
DAYS = ("20260901", "20260908", "20260915", "20260922", "20260929")

CRITICAL = "HELD"
"""The word of versions that are sent as another office's, and held for it."""

Versions = dict[int, str]


@pytest.fixture
def other_desk(tmp_path: Path, ipas: Any) -> Iterator[Any]:
    opened = ipas.open_desk(tmp_path / "other")
    yield opened
    opened.hub.close()


def send(desk: Any, ipas: Any, versions: Versions, kind: Kind, day: str, salt: int = 0) -> Any:
    """Deliver marks by number and word; ``day`` is the office's own date."""
    marks = ipas.marks(
        *(
            ipas.mark(f"KH/{n}/2019", word, office="VN" if word == CRITICAL else "KH")
            for n, word in versions.items()
        )
    )
    done = desk.deliver(f"{marks}<!-- {salt} -->", kind=kind, names=(f"KH_{day}_{salt:04}.xml",))
    if done.state is State.HELD:
        desk.hub.ledger.deliveries.move(
            done.deliveryId, State.CHECKING, desk.now, "KH", expected=State.HELD
        )
        done = desk.process(done)
    return done


def take_back(desk: Any, delivery: Any, reason: str = "a test file") -> Any:
    return revert(desk.hub, delivery.deliveryId, by="Som", reason=reason, at=desk.now)


def words(desk: Any) -> Versions:
    return {
        int(number.split("/")[1]): record["markVerbalElements"][0]["text"]
        for number, record in desk.served().items()
    }


def registered(desk: Any) -> Versions:
    with desk.hub.register.connect() as con:
        desk.hub.register.define_visible(con, MARKS, "visible")
        rows = con.execute(
            "SELECT applicationNumber, markVerbalElements[1].text FROM visible"
        ).fetchall()
    return {int(number.split("/")[1]): word for number, word in rows}


def test_g09_a_released_delivery_that_is_regretted_is_taken_back(desk: Any, ipas: Any) -> None:
    send(desk, ipas, {n: "ONE" for n in range(100)}, FULL, DAYS[0])
    before = desk.served_bytes()
    regretted = send(desk, ipas, {n: "TWO" for n in range(30)}, FULL, DAYS[1])
    assert regretted.hold["code"] == "mass_vanish"
    send(desk, ipas, {3: "THREE"}, UPDATE, DAYS[2])
    third = desk.served_bytes()["KH/3/2019"]
    done = take_back(desk, regretted, "we sent the test system's export")
    assert done.reversal == {"removed": 0, "restored": 70, "changedBack": 29, "kept": 1}
    assert (done.state, done.revertedBy) == (regretted.state, "Som")
    assert desk.served_bytes() == before | {"KH/3/2019": third}  # later versions stay
    assert registered(desk) == words(desk)
    events = desk.hub.ledger.deliveries.events(done.deliveryId)
    assert "reverted by Som: we sent the test system's export" in [e.reason for e in events]
    actions = [entry.action for entry in desk.hub.ledger.audit.entries()]
    assert actions.count("delivery:reverted") == actions.count("delivery:reversal_finished") == 1
    assert desk.hub.ledger.verify() is None


def test_a_second_time_changes_nothing_and_the_same_content_may_come_again(
    desk: Any, ipas: Any
) -> None:
    earlier = send(desk, ipas, {1: "ONE"}, FULL, DAYS[0])
    second = send(desk, ipas, {1: "TWO", 2: "TWO"}, UPDATE, DAYS[1])
    first = take_back(desk, second)
    (told,) = (each for each in coverage(desk.hub, "KH") if each.right is MARKS)
    assert (told.received, told.lastDelivery.deliveryId) == (1, earlier.deliveryId)
    events = desk.hub.ledger.deliveries.events(second.deliveryId)
    assert take_back(desk, second, "again") == first
    assert desk.hub.ledger.deliveries.events(second.deliveryId) == events
    assert words(desk) == {1: "ONE"}
    again = send(desk, ipas, {1: "TWO", 2: "TWO"}, UPDATE, DAYS[1])
    assert again.deliveryId != second.deliveryId
    assert again.receipt.accepted == 2
    assert words(desk) == registered(desk) == {1: "TWO", 2: "TWO"}


def test_only_what_was_published_can_be_taken_back_and_a_reason_is_asked(
    desk: Any, ipas: Any
) -> None:
    waiting = desk.hand_in(ipas.marks(ipas.mark()))
    with pytest.raises(LedgerConflict, match="only one that was published"):
        take_back(desk, waiting)
    done = desk.process(waiting)
    with pytest.raises(InvalidRequest, match="say why"):
        take_back(desk, done, " ")
    other = desk.hand_in(ipas.marks(ipas.mark(word="X")))
    assert desk.hub.ledger.leases.claim(other.deliveryId, "w", desk.now)
    with pytest.raises(LedgerConflict, match=f"{other.deliveryId} is being processed"):
        take_back(desk, done)


@pytest.mark.parametrize("seed", [1, 2])
def test_in_any_order_it_is_as_if_it_had_never_come(
    seed: int, desk: Any, other_desk: Any, ipas: Any
) -> None:
    chance = random.Random(seed)
    plans = [
        (
            {
                n: chance.choice(["A", "B", CRITICAL])
                for n in chance.sample(range(6), chance.randint(1, 5))
            },
            FULL if chance.random() < 0.5 else UPDATE,
            day,
            salt,
        )
        for salt, day in enumerate(DAYS)
    ]
    chance.shuffle(plans)
    victim, moment = chance.randrange(3), chance.randint(3, 4)
    delivered: list[Any] = []
    for step, plan in enumerate(plans):
        delivered.append(send(desk, ipas, *plan))
        if step != victim:
            send(other_desk, ipas, *plan)
        if step + 1 == moment:
            take_back(desk, delivered[victim])
            if chance.random() < 0.5:
                desk.hub.register.fold(MARKS, "KH")
        if step + 1 >= moment:
            assert words(desk) == registered(desk) == words(other_desk), (seed, step, plans)


def test_no_version_that_is_held_is_seen_because_one_before_it_is_taken_back(
    desk: Any, ipas: Any
) -> None:
    """Neither one that came after it, nor one it had replaced."""
    send(desk, ipas, {1: "A", 2: "A", 3: "A"}, FULL, DAYS[0])
    send(desk, ipas, {2: CRITICAL, 3: "A", 4: CRITICAL}, UPDATE, DAYS[1])
    victim = send(desk, ipas, {n: "B" for n in range(1, 5)}, UPDATE, DAYS[2])
    send(desk, ipas, {1: CRITICAL, 3: "B"}, UPDATE, DAYS[3])
    done = take_back(desk, victim)
    assert words(desk) == registered(desk) == {1: "A", 2: "A", 3: "B"}
    assert done.reversal == {"removed": 1, "restored": 0, "changedBack": 2, "kept": 1}


@pytest.mark.parametrize("folded", [False, True])
def test_a_record_only_the_reverted_delivery_had_is_new_when_it_comes(
    folded: bool, desk: Any, other_desk: Any, ipas: Any
) -> None:
    victim = send(desk, ipas, {0: "A", 1: "A"}, UPDATE, DAYS[0])
    plans = [({1: "A"}, FULL, DAYS[2]), ({0: "B"}, UPDATE, DAYS[4]), ({0: "C"}, UPDATE, DAYS[1])]
    receipts = []
    for each in (desk, other_desk):
        made = [send(each, ipas, *plans[0])]
        if each is desk:
            take_back(desk, victim)
        for plan in plans[1:]:
            if folded:
                each.hub.register.fold(MARKS, "KH")
            made.append(send(each, ipas, *plan))
        receipts.append([each.hub.ledger.deliveries.get(one.deliveryId).receipt for one in made])
    assert receipts[0] == receipts[1]
    assert words(desk) == registered(desk) == words(other_desk) == {0: "B", 1: "A"}


def test_a_record_nobody_has_brought_stays_forgotten_however_often_the_log_is_folded(
    desk: Any, ipas: Any
) -> None:
    send(desk, ipas, {1: "A"}, FULL, DAYS[0])
    victim = send(desk, ipas, {0: "A"}, UPDATE, DAYS[1])
    send(desk, ipas, {1: "A"}, FULL, DAYS[2], salt=1)  # the newest row says that 0 is gone
    take_back(desk, victim)
    desk.hub.register.fold(MARKS, "KH")
    receipt = send(desk, ipas, {0: "B"}, UPDATE, DAYS[3]).receipt
    assert (receipt.inserted, receipt.restored) == (1, 0)


def test_what_two_late_deliveries_brought_about_stays_when_one_is_taken_back(
    desk: Any, other_desk: Any, ipas: Any
) -> None:
    plans = [({4: "B"}, FULL, DAYS[2]), ({0: "A"}, UPDATE, DAYS[0]), ({0: "B"}, UPDATE, DAYS[1])]
    made = [send(desk, ipas, *plan) for plan in plans]
    take_back(desk, made[1])
    expected = [send(other_desk, ipas, *plan) for plan in (plans[0], plans[2])]
    receipts = [
        [each.hub.ledger.deliveries.get(one.deliveryId).receipt for one in sent]
        for each, sent in ((desk, (made[0], made[2])), (other_desk, expected))
    ]
    assert receipts[0] == receipts[1]
    assert words(desk) == registered(desk) == words(other_desk) == {4: "B"}


def test_where_two_are_taken_back_a_record_is_new_to_the_one_that_is_left(
    desk: Any, other_desk: Any, ipas: Any
) -> None:
    words_sent = (
        ({0: "A", 1: "A"}, UPDATE),
        ({1: "A"}, FULL),
        ({0: "B"}, UPDATE),
        ({0: "B"}, UPDATE),
    )
    plans = [(*sent, DAYS[n], n) for n, sent in enumerate(words_sent)]
    made = [send(desk, ipas, *plan) for plan in plans]
    for victim in (made[0], made[2]):
        take_back(desk, victim)
    expected = [send(other_desk, ipas, *plans[n]) for n in (1, 3)]
    receipts = [
        [each.hub.ledger.deliveries.get(one.deliveryId).receipt for one in sent]
        for each, sent in ((desk, (made[1], made[3])), (other_desk, expected))
    ]
    assert receipts[0] == receipts[1]
    assert words(desk) == registered(desk) == words(other_desk) == {0: "B", 1: "A"}


STEPS = [
    "plan_reversal", "append_to_register", "publish_reversal", "measured_reversal",
]  # fmt: skip


class Crash(Exception):
    """The machine stops here."""


def raising(error: type[Exception]) -> Callable[..., None]:
    def step(*_: Any, **__: Any) -> None:
        raise error

    return step


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_two_steps_ends_in_the_same_state(
    step: str, desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(desk, ipas, {1: "ONE", 2: "ONE"}, FULL, DAYS[0])
    victim = send(desk, ipas, {1: "TWO", 3: "TWO"}, UPDATE, DAYS[1])
    confirming = send(desk, ipas, {1: "TWO", 2: "ONE"}, UPDATE, DAYS[2])  # finds 1 as it is
    assert confirming.receipt.unchanged == 2

    with monkeypatch.context() as patched:
        patched.setattr(reverting, step, raising(Crash))
        with pytest.raises(Crash):
            take_back(desk, victim)
    assert desk.hub.ledger.deliveries.get(victim.deliveryId).reversal is None
    finish_reverts(desk.hub, "KH", MARKS, by="worker", clock=lambda: desk.now)
    done = desk.hub.ledger.deliveries.get(victim.deliveryId)
    assert done.reversal == {"removed": 1, "restored": 0, "changedBack": 0, "kept": 1}
    assert words(desk) == registered(desk) == {1: "TWO", 2: "ONE"}
    amended = desk.hub.ledger.deliveries.get(confirming.deliveryId)
    assert (amended.receipt.updated, amended.receipt.unchanged) == (1, 1)


def test_processing_finishes_a_killed_reversal_though_no_delivery_waits(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(desk, ipas, {1: "ONE"}, FULL, DAYS[0])
    victim = send(desk, ipas, {1: "TWO"}, UPDATE, DAYS[1])
    with monkeypatch.context() as patched:
        patched.setattr(reverting, "publish_reversal", raising(Crash))
        with pytest.raises(Crash):
            take_back(desk, victim)
    assert words(desk) == {1: "TWO"}
    assert process_until_idle(desk.hub) == []
    assert desk.hub.ledger.deliveries.get(victim.deliveryId).reversal is not None
    assert words(desk) == registered(desk) == {1: "ONE"}


def test_begun_again_on_another_day_it_writes_the_instant_of_its_decision(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(desk, ipas, {1: "ONE"}, FULL, DAYS[0])
    victim = send(desk, ipas, {1: "TWO"}, UPDATE, DAYS[1])
    send(desk, ipas, {1: "TWO"}, UPDATE, DAYS[2], salt=1)  # finds 1 as it is
    with monkeypatch.context() as patched:
        patched.setattr(reverting, "append_to_register", raising(Crash))
        with pytest.raises(Crash):
            take_back(desk, victim)
    decided, desk.now = desk.now, desk.now + timedelta(days=1)
    take_back(desk, victim)
    with desk.hub.register.connect() as con:
        desk.hub.register.define_log(con, MARKS, "KH", "log")
        (written,) = con.execute(
            "SELECT epoch_us(recordedAt) FROM log WHERE amendedBy IS NOT NULL"
        ).fetchall()
    assert written == (round(decided.timestamp() * 1_000_000),)


def test_the_feed_tells_what_was_taken_back_as_the_offices_own_change(desk: Any, ipas: Any) -> None:
    send(desk, ipas, {1: "ONE", 2: "ONE"}, FULL, DAYS[0])
    victim = send(desk, ipas, {1: "TWO", 3: "TWO"}, UPDATE, DAYS[1])
    grants = all_grants(ipas)
    _, place = read_feed(desk, grants, None)
    take_back(desk, victim)
    items, _ = read_feed(desk, grants, place)
    told = sorted((item["changeType"], item["cause"]) for item in items)
    assert told == [("delete", "source"), ("upsert", "source")]


def read_feed(desk: Any, grants: Any, marks: Sequence[Any] | None) -> Any:
    changes = desk.hub.serving.changes(grants, marks, 1_000)
    return [json.loads(item) for item in changes.items], changes.marks


def all_grants(ipas: Any) -> Any:
    return {("KH", MARKS): ipas.EVERYTHING}


def test_no_file_made_before_has_what_was_taken_back(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor has one that was just being made: it is made again of what is there now."""
    hub, store = desk.hub, desk.hub.exports().store
    everything = Grant(frozenset(Disclosure))

    def ask(kind: Format) -> Task:
        task = Task("KH", MARKS, hub.serving.place("KH", MARKS, everything), kind)
        assert store.ask(task, "Acme")
        return task

    def drain() -> int:
        return builder.drain(hub.serving.path, store, hub.home.receipts)

    send(desk, ipas, {1: "ONE"}, FULL, DAYS[0])
    victim = send(desk, ipas, {1: "TWO", 2: "TWO"}, UPDATE, DAYS[1])
    made, being_made = ask(Format.CSV), None
    assert drain() == 1
    assert store.snapshot(made.key).records == 2
    being_made, keep = ask(Format.XML), builder.keep_contents

    def meanwhile(*about: Any) -> None:
        monkeypatch.setattr(builder, "keep_contents", keep)
        keep(*about)
        take_back(desk, victim)

    monkeypatch.setattr(builder, "keep_contents", meanwhile)
    drain()
    assert store.snapshot(made.key) is None
    assert store.snapshot(being_made.key).records == 1
    assert not store.has_waiting()
