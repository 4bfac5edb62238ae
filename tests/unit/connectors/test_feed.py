"""The change feed: whoever replays it holds exactly what it may see, whatever happens."""

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from connectors.serving_store import (
    Filters,
    Mark,
    PlaceUnknown,
    Publication,
    ServingRow,
    ServingStore,
    Space,
)
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

AT = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
TM, PT = Right.TRADEMARKS, Right.PATENTS
KH: Space = ("KH", TM)
CORE, ALL = Grant(frozenset({Disclosure.CORE})), Grant(frozenset(Disclosure))
NO_PARTIES = Grant(ALL.allowed - {Disclosure.STAKEHOLDER})
Grants = dict[Space, Grant]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ServingStore]:
    store = ServingStore(tmp_path / "serving.sqlite")
    yield store
    store.close()


def row(record_id: str, **values: str) -> ServingRow:
    fragments = {
        Disclosure(name): f',"{name}":"{text}"'.encode() for name, text in values.items() if text
    }
    core = fragments.get(Disclosure.CORE, b"")
    fragments[Disclosure.CORE] = b'{"recordId":"%b"%b' % (record_id.encode(), core)
    return ServingRow(record_id, 1, record_id, fragments)


class Reader:
    """A client that does what the feed says, and nothing else."""

    def __init__(self, store: ServingStore, limit: int = 3) -> None:
        self.store, self.limit = store, limit
        self.held: dict[tuple[str, str, str], object] = {}
        self.marks: list[Mark] | None = None
        self.heard: list[dict[str, str]] = []

    def step(self, grants: Grants) -> bool:
        page = self.store.changes(grants, self.marks, self.limit)
        assert len(page.items) <= self.limit
        self.heard = []
        for item in map(msgspec.json.decode, page.items):
            key = (item["officeCode"], item["right"], item["recordId"])
            if item["changeType"] == "upsert":
                self.held[key] = item["record"]
            else:
                self.held.pop(key, None)
            self.heard.append({"type": item["changeType"], "cause": item["cause"]})
        self.marks = page.marks
        return page.more

    def catch_up(self, grants: Grants) -> list[dict[str, str]]:
        heard: list[dict[str, str]] = []
        for _ in range(10_000):
            more = self.step(grants)
            heard += self.heard
            if not more:
                return heard
        raise AssertionError("the feed never ends")


def visible(store: ServingStore, grants: Grants) -> dict[tuple[str, str, str], object]:
    held = {}
    for (office, right), grant in grants.items():
        for body in store.page(office, right, grant, Filters(), limit=1000).bodies:
            record = msgspec.json.decode(body)
            held[office, str(right), record["recordId"]] = record
    return held


def publish(
    store: ServingStore,
    number: int,
    *rows: ServingRow,
    gone: tuple[str, ...] = (),
    space: Space = KH,
) -> None:
    vanished = [(record_id, number) for record_id in gone]
    store.publish(Publication(f"d{number}", *space, AT, rows, vanished))


def test_upsert_and_delete_tell_their_cause(store: ServingStore) -> None:
    reader = Reader(store)
    publish(store, 1, row("a"), row("b"))
    assert reader.catch_up({KH: ALL}) == [{"type": "upsert", "cause": "source"}] * 2
    processed = Publication("d2", *KH, AT, [row("a", core="mapped anew")], [], "processing")
    store.publish(processed)
    publish(store, 3, gone=("b",))
    assert reader.catch_up({KH: ALL}) == [
        {"type": "upsert", "cause": "processing"},
        {"type": "delete", "cause": "source"},
    ]
    assert reader.catch_up({KH: ALL}) == []
    assert reader.held == visible(store, {KH: ALL})


def test_a_new_reader_hears_nothing_of_what_is_gone(store: ServingStore) -> None:
    publish(store, 1, row("a"), row("b"))
    publish(store, 2, gone=("b",))
    reader = Reader(store)
    assert reader.catch_up({KH: ALL}) == [{"type": "upsert", "cause": "source"}]
    assert reader.catch_up({KH: ALL}) == []


def test_a_hidden_change_leaves_no_trace(store: ServingStore) -> None:
    publish(store, 1, row("a", stakeholder="Dara"), row("b"))
    blind, seeing = Reader(store), Reader(store)
    blind.catch_up({KH: NO_PARTIES})
    seeing.catch_up({KH: ALL})
    before = blind.marks
    publish(store, 2, row("a", stakeholder="Sophea"), row("b", stakeholder="new"))
    assert blind.catch_up({KH: NO_PARTIES}) == []
    assert blind.marks == before
    assert len(seeing.catch_up({KH: ALL})) == 2


def test_a_hidden_change_does_not_move_a_newcomers_place(tmp_path: Path) -> None:
    places = []
    for world, name in enumerate(["Dara", "Sophea"]):
        store = ServingStore(tmp_path / f"{world}.sqlite")
        publish(store, 1, row("a", stakeholder="Dara"), row("b"))
        publish(store, 2, row("a", stakeholder=name))
        publish(store, 3, row("b", core="visible"))
        reader = Reader(store)
        reader.catch_up({KH: NO_PARTIES})
        places.append((reader.marks, reader.held))
        store.close()
    assert places[0] == places[1]


def test_revoking_retracts_also_what_the_office_deleted_meanwhile(store: ServingStore) -> None:
    reader = Reader(store)
    publish(store, 1, *[row(f"r{number}") for number in range(7)])
    reader.catch_up({KH: ALL})
    publish(store, 2, row("born later"), gone=("r3",))
    heard = reader.catch_up({})
    assert heard == [{"type": "retract", "cause": "authorization"}] * 7
    assert (reader.held, reader.marks) == ({}, [])


def test_widening_sends_everything_again(store: ServingStore) -> None:
    reader = Reader(store)
    publish(store, 1, row("a", stakeholder="Dara"), row("b"))
    reader.catch_up({KH: NO_PARTIES})
    assert reader.catch_up({KH: ALL}) == [{"type": "upsert", "cause": "authorization"}] * 2
    assert reader.held == visible(store, {KH: ALL})


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_narrowing_retracts_and_sends_what_is_left(store: ServingStore, limit: int) -> None:
    reader = Reader(store, limit)
    publish(store, 1, row("a", stakeholder="Dara"), row("b"))
    reader.catch_up({KH: ALL})
    pair = [
        {"type": "retract", "cause": "authorization"},
        {"type": "upsert", "cause": "authorization"},
    ]
    assert reader.catch_up({KH: NO_PARTIES}) == pair * 2
    assert reader.held == visible(store, {KH: NO_PARTIES})
    assert reader.catch_up({KH: NO_PARTIES}) == []


def test_a_later_grant_is_told_as_such_and_source_changes_as_theirs(store: ServingStore) -> None:
    reader = Reader(store)
    publish(store, 1, row("a"))
    publish(store, 2, row("p"), space=("TH", PT))
    publish(store, 3, gone=("p",), space=("TH", PT))
    publish(store, 4, row("q"), space=("TH", PT))
    reader.catch_up({KH: ALL})
    both: Grants = {KH: ALL, ("TH", PT): CORE}
    assert reader.catch_up(both) == [{"type": "upsert", "cause": "authorization"}]
    publish(store, 5, row("r"), space=("TH", PT))
    assert reader.catch_up(both) == [{"type": "upsert", "cause": "source"}]


def test_a_place_of_another_store_is_refused(store: ServingStore) -> None:
    publish(store, 1, row("a"))
    with pytest.raises(PlaceUnknown):
        store.changes({KH: CORE}, [Mark("KH", TM, 1, counts=(9, 0, 0, 0, 0), record="a")], 10)


@pytest.mark.parametrize("seed", range(12))
def test_replay_holds_exactly_what_is_visible(store: ServingStore, seed: int) -> None:
    """Deliveries, grants and pages in any order; then from every place ever given out."""
    chance = random.Random(seed)
    spaces: list[Space] = [KH, ("KH", PT), ("TH", TM)]
    masks = [CORE, NO_PARTIES, ALL, Grant(ALL.allowed - {Disclosure.EXAMINATION}), None]
    grants: Grants = {KH: ALL}
    readers = [Reader(store, chance.choice([1, 2, 5])) for _ in range(3)]
    copies: list[Reader] = []
    for number in range(60):
        match chance.randrange(4):
            case 0 | 1:
                ids = chance.sample([f"r{n}" for n in range(12)], 5)
                rows = [
                    row(i, **{str(n): chance.choice(["", "x", "y"]) for n in Disclosure})
                    for i in ids[:3]
                ]
                publish(store, number, *rows, gone=tuple(ids[3:]), space=chance.choice(spaces))
            case 2:
                space, mask = chance.choice(spaces), chance.choice(masks)
                grants = {k: v for k, v in grants.items() if k != space}
                grants |= {space: mask} if mask else {}
            case _:
                reader = chance.choice(readers)
                reader.step(grants)
                copy = Reader(store, chance.choice([1, 2, 5]))
                copy.marks, copy.held = reader.marks, dict(reader.held)
                copies.append(copy)
        if number % 15 == 14:
            readers[0].catch_up(grants)
            assert readers[0].held == visible(store, grants)
    for reader in [*readers, *copies, Reader(store)]:
        reader.catch_up(grants)
        assert reader.held == visible(store, grants)
        assert reader.catch_up(grants) == []
