"""The register and the serving store after any sequence of deliveries, against a naive oracle.

The oracle keeps two dictionaries: what every record is, and what third parties see of it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

import connectors.changes as changes
import connectors.log_rows as log_rows
import pipelines.ingest as ingest
from connectors.between_steps import is_decided
from connectors.register import tables
from connectors.register.cutting import files_now
from connectors.register.difference import Difference, difference
from ipregister.deliveries import Kind, Receipt, State
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right
from pipelines.maintenance import maintain

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE
MARKS = Right.TRADEMARKS
CORE, WHO, STATUS = Disclosure.CORE, Disclosure.STAKEHOLDER, Disclosure.STATUS_CHANGE


@dataclass(frozen=True)
class Version:
    """One record as an office sends it; ``office`` other than KH is critical."""

    number: str
    word: str = "ONE"
    applicant: str = "A"
    status: str = "Filed"
    office: str = "KH"

    def write(self, ipas: Any) -> str:
        return ipas.mark(  # type: ignore[no-any-return]
            self.number,
            self.word,
            applicant=f"{self.applicant} Co., Ltd.",
            status=self.status,
            office=self.office,
        )

    def changed_since(self, other: "Version | None") -> set[str]:
        if other is None:
            return {CORE, WHO, STATUS}
        changes = {
            CORE: (self.word, self.office) != (other.word, other.office),
            WHO: self.applicant != other.applicant,
            STATUS: self.status != other.status,
        }
        return {str(name) for name, changed in changes.items() if changed}


@dataclass
class Oracle:
    """The same semantics, written as plainly as possible."""

    latest: dict[str, tuple[Version, bool] | None] = field(default_factory=dict)
    visible: dict[str, Version] = field(default_factory=dict)
    changed: dict[str, set[str]] = field(default_factory=dict)

    def take(self, versions: Sequence[Version], kind: Kind) -> Receipt | None:
        """Return the receipt, or nothing for a delivery that must wait."""
        incoming = {version.number: version for version in versions}
        held = {v.number for v in versions if v.office != "KH"}
        if kind is FULL:
            held |= {v.number for v in versions if v != incoming[v.number]}
        alive = {number for number, state in self.latest.items() if state}
        vanishing = alive - incoming.keys() if kind is FULL else set()
        if (vanishing and vanishing == alive) or all(v.office != "KH" for v in versions):
            return None
        counts: dict[str, int] = {}
        self.changed = {}
        for number, version in incoming.items():
            before = self.latest.get(number)
            if number not in self.latest:
                op = "inserted"
            elif before is None:
                op = "restored"
            else:
                op = "unchanged" if before == (version, number in held) else "updated"
            if op != "unchanged":
                self.changed[number] = version.changed_since(self.visible.get(number))
            name = "held" if number in held else op
            counts[name] = counts.get(name, 0) + 1
            self.latest[number] = (version, number in held)
            if number not in held:
                self.visible[number] = version
        for number in vanishing:
            self.latest[number] = None
            self.visible.pop(number, None)
        return Receipt(
            recordsRead=len(versions),
            duplicates=len(versions) - len(incoming),
            accepted=sum(counts.get(n, 0) for n in ("inserted", "updated", "restored")),
            vanished=len(vanishing),
            **counts,
        )


def deliver(desk: Any, ipas: Any, versions: Sequence[Version], kind: Kind, salt: int) -> Any:
    """Deliver versions; ``salt`` makes a file unlike any before."""
    document = ipas.marks(*(version.write(ipas) for version in versions))
    return desk.deliver(f"{document}<!-- {salt} -->", kind=kind)


def agree(desk: Any, oracle: Oracle) -> None:
    served = desk.served()
    seen = {
        number: Version(
            number,
            record["markVerbalElements"][0]["text"],
            record["applicants"][0]["names"][0]["text"].removesuffix(" Co., Ltd."),
            record["officeStatus"],
            record["officeCode"],
        )
        for number, record in served.items()
    }
    assert seen == oracle.visible


def logged(desk: Any, delivery: Any) -> dict[str, set[str]]:
    """Return the classes each change of a delivery touched, by application number."""
    with desk.hub.register.connect() as con:
        desk.hub.register.define_log(con, MARKS, "KH", "log")
        rows = con.execute(
            "SELECT applicationNumber, changedClasses FROM log "
            "WHERE deliveryId = ? AND op <> 'vanish'",
            [delivery.deliveryId],
        ).fetchall()
    return {number: set(classes) for number, classes in rows}


A, B, C, D, E, F, G = (Version(f"KH/9000{n}/2019") for n in range(7))


def test_one_delivery_inserts_updates_restores_holds_and_lets_vanish(desk: Any, ipas: Any) -> None:
    first = deliver(desk, ipas, [A, B, C, D, E], FULL, 1)
    deliver(desk, ipas, [A, B, C, D], FULL, 2)  # E vanishes
    before = desk.served_bytes()
    changed = Version(B.number, status="Registered")
    foreign = Version(C.number, word="TWO", office="VN")
    conflict = Version(F.number, word="TWO")
    done = deliver(desk, ipas, [A, changed, foreign, E, F, conflict, G, G], FULL, 3)
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == Receipt(
        recordsRead=8, accepted=3, held=2, unchanged=1, duplicates=2,
        inserted=1, updated=1, restored=1, vanished=1,
    )  # fmt: skip
    after = desk.served_bytes()
    assert set(after) == {v.number for v in (A, B, C, E, G)}
    assert after[A.number] == before[A.number]
    assert after[C.number] == before[C.number]  # the last good version stays
    assert logged(desk, done)[B.number] == {STATUS}
    assert logged(desk, first)[B.number] == {CORE, WHO, STATUS}


def versions(chance: random.Random) -> list[Version]:
    pool = [f"KH/9000{n}/2019" for n in range(7)]
    return [
        Version(
            number,
            chance.choice(["ONE", "TWO"]),
            chance.choice("AB"),
            chance.choice(["Filed", "Registered"]),
            chance.choices(["KH", "VN"], [7, 1])[0],
        )
        for number in chance.choices(pool, k=chance.randint(1, 8))
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_any_sequence_of_deliveries_ends_where_the_oracle_does(
    seed: int, desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, oracle, compared = random.Random(seed), Oracle(), list[Difference]()

    def noted(*args: Any) -> Difference:
        compared.append(difference(*args))
        return compared[-1]

    monkeypatch.setattr(ingest, "difference", noted)
    for step in range(9):
        sent, kind = versions(chance), chance.choice([FULL, UPDATE, UPDATE])
        had = sum(state is not None for state in oracle.latest.values())
        expected = oracle.take(sent, kind)
        done = deliver(desk, ipas, sent, kind, step)
        assert compared[-1].had == had
        if expected is None:
            assert done.state is State.HELD
        else:
            assert done.state in (State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS)
            assert done.receipt == expected
            assert logged(desk, done) == oracle.changed
        agree(desk, oracle)
        if chance.random() < 0.4:
            before = desk.served_bytes()
            desk.hub.register.fold(MARKS, "KH")
            assert desk.served_bytes() == before
    assert registered(desk) == {v.number for v in oracle.visible.values()}


def registered(desk: Any) -> set[str]:
    """Return what the register itself says is visible."""
    with desk.hub.register.connect() as con:
        desk.hub.register.define_visible(con, MARKS, "visible")
        return {
            number for (number,) in con.execute("SELECT applicationNumber FROM visible").fetchall()
        }


class Crash(Exception):
    """The machine stops here."""


def state_of(desk: Any) -> tuple[dict[str, bytes], int, set[str]]:
    with desk.hub.register.connect() as con:
        desk.hub.register.define_log(con, MARKS, "KH", "log")
        (rows,) = con.execute("SELECT count(*) FROM log").fetchone()
    return desk.served_bytes(), rows, registered(desk)


STEPS = ["append_to_register", "publish_to_serving"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_between_two_steps_leaves_one_effect(
    step: str, when: str, desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(desk, ipas, [A, B, C], FULL, 1)
    old = desk.served_bytes()
    real: Callable[..., None] = getattr(ingest, step)

    def crashing(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            real(*args, **kwargs)
        raise Crash

    document = ipas.marks(*(v.write(ipas) for v in (A, Version(B.number, "TWO"), D)))
    waiting = desk.hand_in(document, kind=FULL)
    with monkeypatch.context() as patched:
        patched.setattr(ingest, step, crashing)
        with pytest.raises(Crash):
            desk.process(waiting)
    seen = desk.served_bytes()
    whole = (step, when) == ("publish_to_serving", "after")
    assert (seen == old) is not whole  # readers see the old or the new, never a mixture
    ingest.give_back(desk.hub, waiting.deliveryId, Crash(), worker="test", at=desk.now)
    done = desk.process(waiting)
    assert done.receipt == Receipt(
        recordsRead=3, accepted=2, unchanged=1, inserted=1, updated=1, vanished=1
    )
    after = state_of(desk)
    assert set(after[0]) == after[2] == {A.number, B.number, D.number}
    assert after[1] == 3 + 3
    assert not desk.hub.home.staging(waiting.deliveryId).exists()


def test_a_delivery_of_several_pieces_is_published_whole(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PIECE_BYTES", 1)  # every staged file for itself
    deliver(desk, ipas, [A, B, C], FULL, 1)
    documents = [ipas.marks(v.write(ipas)) for v in (Version(B.number, "TWO"), C, D)]
    done = desk.process(desk.hand_in(*documents, kind=FULL))
    assert done.receipt == Receipt(
        recordsRead=3, accepted=2, unchanged=1, inserted=1, updated=1, vanished=1
    )
    served, rows, there = state_of(desk)
    assert set(served) == there == {B.number, C.number, D.number}
    assert rows == 3 + 3


def test_a_change_without_its_content_stops_the_delivery(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(desk, ipas, [A], FULL, 1)
    before = state_of(desk)
    monkeypatch.setattr(log_rows, "pieces", lambda *_: iter(()))
    waiting = desk.hand_in(ipas.marks(B.write(ipas)))
    with pytest.raises(DeltaError, match="1 changes are planned, and 0 have their content"):
        desk.process(waiting)
    assert state_of(desk) == before


def test_every_step_twice_is_every_step_once(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in STEPS:
        real: Callable[..., None] = getattr(ingest, step)

        def twice(*args: Any, real: Callable[..., None] = real, **kwargs: Any) -> None:
            real(*args, **kwargs)
            real(*args, **kwargs)

        monkeypatch.setattr(ingest, step, twice)
    deliver(desk, ipas, [A, B], FULL, 1)
    deliver(desk, ipas, [Version(A.number, "TWO"), C], UPDATE, 2)
    served, rows, visible = state_of(desk)
    assert set(served) == visible == {A.number, B.number, C.number}
    assert rows == 4


def test_a_held_delivery_waits_for_the_office_and_then_counts(desk: Any, ipas: Any) -> None:
    deliver(desk, ipas, [A, B], FULL, 1)
    held = deliver(desk, ipas, [C], FULL, 2)
    assert held.state is State.HELD
    assert held.receipt == Receipt(recordsRead=1, held=1)
    assert "You had 2 records, this delivery has 1, 2 would disappear." in held.reason
    assert set(desk.served()) == {A.number, B.number}
    desk.hub.ledger.deliveries.move(
        held.deliveryId, State.CHECKING, desk.now, "KH", expected=State.HELD
    )
    done = desk.process(held)
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    assert done.receipt == Receipt(recordsRead=1, accepted=1, inserted=1, vanished=2)
    assert set(desk.served()) == {C.number}


def test_an_older_extraction_that_comes_late_takes_nothing_a_newer_one_has(
    desk: Any, ipas: Any
) -> None:
    marks = [Version(f"KH/{90100 + n}/2019", "WORD") for n in range(60)]

    def extract(versions: list[Any], day: str) -> Any:
        document = ipas.marks(*(version.write(ipas) for version in versions))
        return desk.deliver(document, kind=FULL, names=(f"KH_{day}_0001.xml",))

    extract(marks, "20260901")
    newest = extract([*marks, D], "20261101")
    assert newest.receipt == Receipt(recordsRead=61, accepted=1, unchanged=60, inserted=1)
    before = desk.served_bytes()
    done = late = extract([Version(marks[0].number, "OLD")], "20261001")
    assert done.receipt == Receipt(recordsRead=1, accepted=1, updated=1, vanished=59)
    assert [each["ruleCode"] for each in desk.findings(done)].count("ALL.CNS.019") == 1
    assert desk.served_bytes() == before
    # What the newest extraction means is what it would mean, had the other come in time.
    amended = desk.hub.ledger.deliveries.get(newest.deliveryId)
    assert amended.state is newest.state
    assert amended.receipt == Receipt(
        recordsRead=61, accepted=61, inserted=1, updated=1, restored=59
    )
    told = desk.hub.ledger.deliveries.events(newest.deliveryId)[-1]
    assert told.reason == (
        f"amended: delivery {late.deliveryId} came later but is older "
        "(accepted 1 → 61, restored 0 → 59, unchanged 60 → 0, updated 0 → 1)"
    )
    assert desk.hub.ledger.audit.verify() is None


def test_an_update_vouches_for_what_it_found_unchanged(desk: Any, ipas: Any) -> None:
    def hand_in(versions: list[Any], kind: Kind, day: str) -> Any:
        document = ipas.marks(*(version.write(ipas) for version in versions))
        return desk.deliver(document, kind=kind, names=(f"KH_{day}_0001.xml",))

    hand_in([A, B, C], FULL, "20260901")
    seen = desk.served_bytes()
    confirmed = hand_in([B], UPDATE, "20261101")
    assert confirmed.receipt == Receipt(recordsRead=1, unchanged=1)
    assert desk.served_bytes() == seen
    late = hand_in([A], FULL, "20261001")
    assert late.receipt == Receipt(recordsRead=1, unchanged=1, vanished=2)
    assert set(desk.served()) == {A.number, B.number}
    amended = desk.hub.ledger.deliveries.get(confirmed.deliveryId)
    assert amended.receipt == Receipt(recordsRead=1, accepted=1, restored=1)
    desk.hub.register.fold(MARKS, "KH")
    assert registered(desk) == {A.number, B.number}


def test_a_released_empty_extraction_lets_everything_vanish(desk: Any, ipas: Any) -> None:
    deliver(desk, ipas, [A, B], FULL, 1)
    held = deliver(desk, ipas, [], FULL, 2)
    assert (held.state, held.receipt) == (State.HELD, Receipt())
    desk.hub.ledger.deliveries.move(
        held.deliveryId, State.CHECKING, desk.now, "KH", expected=State.HELD
    )
    assert desk.process(held).receipt == Receipt(vanished=2)
    assert desk.served() == {}


def test_the_same_delivery_twice_in_two_homes_gives_the_same_bytes(
    desk: Any, shared_desk: Any, ipas: Any
) -> None:
    for each in (desk, shared_desk):
        deliver(each, ipas, [A, B, C], FULL, 1)
    assert desk.served_bytes() == shared_desk.served_bytes()


def test_an_older_delivery_that_comes_late_overwrites_nothing(desk: Any, ipas: Any) -> None:
    newer, older = Version(A.number, "NEWER"), Version(A.number, "OLDER")
    for version, day in ((newer, "20261120"), (older, "20261101")):
        desk.deliver(ipas.marks(version.write(ipas)), names=(f"KH_{day}_0001.xml",))
    assert desk.served()[A.number]["markVerbalElements"][0]["text"] == "NEWER"


def test_a_good_version_that_comes_after_its_held_one_is_seen(desk: Any, ipas: Any) -> None:
    good, held = Version(A.number, "GOOD"), Version(A.number, "HELD", office="VN")
    for version, day in ((held, "20261120"), (good, "20261101")):
        document = ipas.marks(version.write(ipas), Version(f"KH/8000{day[-2]}/2019").write(ipas))
        desk.deliver(document, names=(f"KH_{day}_0001.xml",))
    assert desk.served()[A.number]["markVerbalElements"][0]["text"] == "GOOD"
    desk.hub.register.fold(MARKS, "KH")
    assert A.number in registered(desk)


@pytest.mark.parametrize("wrong", ["receipt", "amendments"])
def test_what_does_not_add_up_is_never_visible(
    wrong: str, desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.deliver(ipas.marks(ipas.mark("KH1", "ONE")))
    seen = desk.served_bytes()

    def miscounted(*args: Any) -> Difference:
        found = difference(*args)
        if wrong == "receipt":
            return replace(found, receipt=replace(found.receipt, accepted=7))
        return replace(found, amendments={first.deliveryId: {"inserted": -7}})

    monkeypatch.setattr(ingest, "difference", miscounted)
    second = desk.hand_in(ipas.marks(ipas.mark("KH2", "TWO")), kind=UPDATE)
    with pytest.raises(StoreError, match="does not add up"):
        desk.process(second)
    assert desk.served_bytes() == seen
    assert not is_decided(desk.hub, second.deliveryId)


@pytest.mark.parametrize("folder", ["My hub", "ឃ #1, 100% & more"])
def test_a_hub_works_in_a_folder_of_any_name(folder: str, tmp_path: Path, ipas: Any) -> None:
    """Delta names its files as in a URL, where a space is ``%20``."""
    desk = ipas.open_desk(tmp_path / folder / "hub")
    desk.deliver(ipas.marks(ipas.mark("KH1"), ipas.mark("KH2")), kind=FULL)
    maintain(desk.hub, at=desk.now)
    changed = desk.deliver(ipas.marks(ipas.mark("KH1", "TWO")))
    register = desk.hub.home.root / "register"
    kept = files_now(register)
    desk.hub.close()
    assert (changed.receipt.updated, changed.receipt.inserted) == (1, 0)
    assert [path for path in kept if not path.is_file()] == []
    assert set(register.rglob("*.zstd.parquet")) <= set(kept)
    assert [path.name for path in tmp_path.iterdir()] == [folder], "nothing is written elsewhere"


def test_a_field_that_is_new_is_empty_in_what_an_older_program_wrote(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(desk, ipas, [Version("KH/T/2020/1")], FULL, 0)
    store = desk.hub.register
    with store.connect() as con:  # of what has no rows, too
        store.define_visible(con, Right.DESIGNS, "before")
    wider = {
        right: tables.log_schema(right).append(pa.field("new", pa.string())) for right in Right
    }
    monkeypatch.setattr(tables, "log_schema", wider.__getitem__)
    with store.connect() as con:
        for right in (Right.TRADEMARKS, Right.DESIGNS):
            store.define_visible(con, right, str(right))
            assert con.execute(f"SELECT count(new) FROM {right}").fetchall() == [(0,)]
        assert con.execute("SELECT office FROM trademarks").fetchall() == [("KH",)]
        store.define_log(con, Right.TRADEMARKS, "KH", "log")
        assert con.execute("SELECT count(new), count(*) FROM log").fetchall() == [(0, 1)]
