"""The change feed: whoever replays it holds exactly what it may see, whatever happens."""

import datetime as dt
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from connectors.serving import feed
from connectors.serving.gaps import forget_places
from connectors.serving.rows import BITS, FREE_TEXT
from connectors.serving.schema import PLACES, connect
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
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

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


def row(
    record_id: str, *, published: bool = False, kind: str = "", text: str = "", **values: str
) -> ServingRow:
    """Return a record; its words, if it has some, are free text."""
    fragments = {
        Disclosure(name): f',"of_{name}":"{said}"'.encode() for name, said in values.items() if said
    }
    core = fragments.get(Disclosure.CORE, b"")
    if text:
        core += b',"markDescriptions":[{"text":"%b"}],"titles":[{"text":"x"}]' % text.encode()
    fragments[Disclosure.CORE] = b'{"recordId":"%b"%b' % (record_id.encode(), core)
    return ServingRow(record_id, 1, record_id, fragments, published=published, kind=kind)


class Reader:
    """A client that does what the feed says, and nothing else."""

    def __init__(self, store: ServingStore, limit: int = 3) -> None:
        self.store, self.limit = store, limit
        self.held: dict[tuple[str, str, str], object] = {}
        self.marks: list[Mark] | None = None
        self.heard: list[dict[str, str]] = []
        self.named: set[str] = set()
        self.may_hear: set[str] = set()

    def copy(self, limit: int) -> "Reader":
        copy = Reader(self.store, limit)
        copy.marks, copy.held, copy.may_hear = self.marks, dict(self.held), set(self.may_hear)
        return copy

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
            self.named.add(item["recordId"])
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
        store.changes(
            {KH: CORE}, [Mark("KH", TM, 1 | FREE_TEXT, counts=(9, 0, 0, 0, 0), record="a")], 10
        )


def test_places_of_a_store_made_anew_are_none_of_the_one_made_anew_after_it(tmp_path: Path) -> None:
    """However soon after: a reader must not go on from where the next one stands elsewhere."""
    stores = []
    for name, numbers, later in (("first", range(9), 0), ("second", range(8), 3)):
        made = ServingStore(tmp_path / f"{name}.sqlite")
        for number in numbers:
            publish(made, number, row(f"{name}{number}"))
        with closing(connect(made.path, writer=True)) as anew:
            forget_places(anew, AT + dt.timedelta(seconds=later), whole=True)
        stores.append(made)
    reader = Reader(stores[0])
    reader.catch_up({KH: CORE})
    with pytest.raises(PlaceUnknown):
        stores[1].changes({KH: CORE}, reader.marks, 10)
    for made in stores:
        made.close()


# --- rows ------------------------------------------------------------------------------------

PUBLISHED = replace(ALL, rule=RowRule(publishedOnly=True), since=1)
INDIVIDUAL = replace(ALL, rule=RowRule(kinds=("individual",)), since=2)


def shared(store: ServingStore, space: Space, grant: Grant) -> Grants:
    store.prepare(*space, grant)
    return {space: grant}


def test_a_record_outside_the_rows_leaves_no_trace(tmp_path: Path) -> None:
    worlds = []
    for name in ("alone", "with a hidden one"):
        store = ServingStore(tmp_path / f"{name}.sqlite")
        hidden = [row("h", core=name)] if name != "alone" else []
        publish(store, 1, row("a", published=True), *hidden)
        grants = shared(store, KH, PUBLISHED)
        reader = Reader(store)
        reader.catch_up(grants)
        publish(store, 2, *[row("h", core="changed") for _ in hidden])
        publish(store, 3, row("b", published=True), *hidden)
        publish(store, 4, gone=("h",) if hidden else ())
        heard = reader.catch_up(grants)
        gone = store.is_gone(*KH, "h", PUBLISHED)
        newcomer = Reader(store)
        newcomer.catch_up(grants)
        count = store.count(*KH, PUBLISHED)
        worlds.append((heard, reader.marks, reader.held, gone, newcomer.marks, count))
        store.close()
    assert worlds[0] == worlds[1]


def test_leaving_the_rows_is_a_deletion_and_entering_them_an_upsert(store: ServingStore) -> None:
    publish(store, 1, row("a", published=True), row("b"))
    grants, reader = shared(store, KH, PUBLISHED), Reader(store)
    reader.catch_up(grants)
    publish(store, 2, row("a"), row("b", published=True))
    assert reader.catch_up(grants) == [
        {"type": "delete", "cause": "source"},
        {"type": "upsert", "cause": "source"},
    ]
    assert store.is_gone(*KH, "a", PUBLISHED)
    assert store.record(*KH, "a", PUBLISHED) is None
    assert store.record(*KH, "b", PUBLISHED) == store.record(*KH, "b", ALL)
    assert store.count(*KH, PUBLISHED) == 1


def test_a_rule_retracts_what_it_leaves_out_and_only_that(store: ServingStore) -> None:
    publish(store, 1, row("a", published=True), row("b"), row("c", published=True))
    reader = Reader(store)
    reader.catch_up({KH: ALL})
    heard = reader.catch_up(shared(store, KH, PUBLISHED))
    retract, upsert = ({"type": kind, "cause": "authorization"} for kind in ("retract", "upsert"))
    assert heard == [retract, upsert, upsert]
    assert reader.catch_up({KH: replace(ALL, since=3)}) == [upsert] * 3


def test_rows_and_fewer_classes_retract_everything(store: ServingStore) -> None:
    publish(store, 1, row("a", published=True, stakeholder="Dara"), row("b"))
    reader = Reader(store)
    reader.catch_up({KH: ALL})
    narrow = replace(PUBLISHED, allowed=NO_PARTIES.allowed)
    heard = reader.catch_up(shared(store, KH, narrow))
    assert [item["type"] for item in heard] == ["retract", "retract", "upsert"]


def test_what_enters_the_rows_half_way_is_not_forgotten_when_they_end(store: ServingStore) -> None:
    publish(store, 1, row("a"), row("b"), row("c", published=True))
    reader = Reader(store, limit=1)
    reader.catch_up({KH: ALL})
    grants = shared(store, KH, PUBLISHED)
    reader.step(grants)  # retracts a
    publish(store, 2, row("b", published=True))
    reader.step(grants)
    reader.catch_up({})
    assert reader.held == {}


def test_what_lived_and_died_in_a_break_is_never_named(store: ServingStore) -> None:
    publish(store, 1, row("a"))
    reader = Reader(store)
    reader.catch_up({KH: ALL})
    publish(store, 2, row("x"))
    publish(store, 3, gone=("x",))
    reader.catch_up({KH: replace(ALL, since=5)})
    assert reader.named == {"a"}


def test_what_died_before_a_reader_came_is_never_retracted(store: ServingStore) -> None:
    publish(store, 1, row("z"), row("old"))
    publish(store, 2, gone=("old",))
    reader = Reader(store)
    reader.catch_up({KH: ALL})
    publish(store, 3, row("old"))  # it comes back when nobody shares it any more
    reader.catch_up({})
    assert reader.named == {"z"}


def test_a_view_that_is_not_prepared_is_refused(store: ServingStore) -> None:
    assert store.count(*KH, PUBLISHED) == 0  # nothing there at all
    publish(store, 1, row("a", published=True), row("b"))
    for ask in (
        lambda: store.record(*KH, "a", PUBLISHED),
        lambda: store.is_gone(*KH, "a", PUBLISHED),
        lambda: store.count(*KH, PUBLISHED),
        lambda: store.page(*KH, PUBLISHED, Filters(), limit=9),
        lambda: store.changes({KH: PUBLISHED}, None, 9),
    ):
        with pytest.raises(StoreError, match="not prepared"):
            ask()


def test_unused_views_disappear_when_cursors_had_time_to_leave_them(store: ServingStore) -> None:
    publish(store, 1, row("a", published=True, text="words"), row("b"))
    no_words = replace(ALL, freeText=False)
    for grant in (PUBLISHED, no_words):
        store.prepare(*KH, grant)
    reader = Reader(store)
    reader.catch_up({KH: PUBLISHED})
    keep = dt.timedelta(days=30)
    assert store.forget_unused([(KH, no_words)], AT, keep) == 0
    assert store.forget_unused([(KH, no_words)], AT + keep, keep) == 0
    store.prepare(*KH, PUBLISHED)  # used again
    for days in (31, 60):
        assert store.forget_unused([(KH, no_words)], AT + dt.timedelta(days=days), keep) == 0
    assert store.forget_unused([], AT + dt.timedelta(days=62), keep) == 1
    assert store.count(*KH, no_words) == 2
    with pytest.raises(StoreError):
        store.count(*KH, PUBLISHED)
    with pytest.raises(PlaceUnknown):
        reader.step({KH: ALL})
    assert store.forget_unused([], AT + dt.timedelta(days=99), keep) == 1
    assert visible(store, {KH: ALL}).keys() == {("KH", str(TM), "a"), ("KH", str(TM), "b")}


def test_a_view_that_is_made_again_knows_no_place_of_the_first(store: ServingStore) -> None:
    publish(store, 1, row("a", published=True), row("b", published=True))
    reader = Reader(store)
    reader.catch_up(shared(store, KH, PUBLISHED))
    for days in (0, 31):
        store.forget_unused([], AT + dt.timedelta(days=days), dt.timedelta(days=30))
    publish(store, 2, row("a"))  # leaves a view that is not there
    again = shared(store, KH, replace(PUBLISHED, since=9))
    with pytest.raises(PlaceUnknown):
        reader.step(again)
    assert Reader(store).catch_up(again) == [{"type": "upsert", "cause": "source"}]


def test_free_text_left_out_is_a_view_of_its_own(store: ServingStore) -> None:
    publish(store, 1, row("a", text="by Dara"), row("b"))
    reader = Reader(store)
    reader.catch_up({KH: ALL})
    grants = shared(store, KH, replace(ALL, freeText=False, since=1))
    heard = reader.catch_up(grants)
    assert [item["type"] for item in heard] == ["retract", "retract", "upsert", "upsert"]
    assert reader.held == visible(store, grants)
    assert "by Dara" not in str(reader.held)
    before = reader.marks
    publish(store, 2, row("a", text="by Sophea"))
    assert (reader.catch_up(grants), reader.marks) == ([], before)
    publish(store, 3, row("a", text="by Sophea", core="visible"))
    assert reader.catch_up(grants) == [{"type": "upsert", "cause": "source"}]
    assert reader.held == visible(store, grants)


GRANTS = [
    *(CORE, NO_PARTIES, ALL, Grant(ALL.allowed - {Disclosure.EXAMINATION}), None),
    *(PUBLISHED, INDIVIDUAL, replace(NO_PARTIES, rule=RowRule(publishedOnly=True))),
    *(replace(ALL, freeText=False), replace(CORE, rule=RowRule(kinds=("x",)), freeText=False)),
]


def test_who_keeps_everything_is_not_kept_waiting_for_it(
    store: ServingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number:02}" for number in range(20)]
    publish(store, 1, *(row(name) for name in names))
    reader = Reader(store, limit=100)
    reader.catch_up({KH: ALL})
    publish(store, 2, gone=("03", "11"))
    again = {KH: replace(ALL, since=3)}
    whole = reader.copy(100)
    expected = whole.catch_up(again)
    monkeypatch.setattr(feed, "MAX_WALKED", 6)
    pages, more = [], True
    while more:
        more = reader.step(again)
        pages.append(len(reader.heard))
    assert pages == [1, 1, 0, 18]
    assert [item["type"] for item in expected] == ["retract"] * 2 + ["upsert"] * 18
    assert reader.held == whole.held == visible(store, again)


@pytest.mark.parametrize("walked", [3, 10_000])
@pytest.mark.parametrize("seed", range(8))
def test_replay_holds_exactly_what_is_visible(
    store: ServingStore, seed: int, walked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_WALKED", walked)
    """Deliveries, grants and pages in any order; then from every place ever given out."""
    chance = random.Random(seed)
    spaces: list[Space] = [KH, ("KH", PT), ("TH", TM)]
    grants: Grants = {KH: ALL}
    readers = [Reader(store, chance.choice([1, 2, 5])) for _ in range(3)]
    for number in range(60):
        match chance.randrange(4):
            case 0 | 1:
                ids = chance.sample([f"r{n}" for n in range(12)], 5)
                publish(
                    *(store, number, *[anything(chance, name) for name in ids[:3]]),
                    gone=tuple(ids[3:]),
                    space=chance.choice(spaces),
                )
            case 2:
                space, grant = chance.choice(spaces), chance.choice(GRANTS)
                grants = {k: v for k, v in grants.items() if k != space}
                grants |= shared(store, space, replace(grant, since=number)) if grant else {}
            case _:
                reader = chance.choice(readers)
                reader.step(grants)
                readers.append(reader.copy(chance.choice([1, 2, 5])))
                readers.append(Reader(store, chance.choice([1, 2, 5])))
        for reader in readers:
            reader.may_hear |= {key[2] for key in visible(store, grants)}
        if number % 15 == 14:
            readers[0].catch_up(grants)
            assert readers[0].held == visible(store, grants)
    for reader in readers:
        reader.catch_up(grants)
        assert reader.held == visible(store, grants)
        assert reader.catch_up(grants) == []
        assert reader.named <= reader.may_hear
    feed_tells_what_records_are(store)


def feed_tells_what_records_are(store: ServingStore) -> None:
    """Check what ``change`` repeats of ``record``: does it live, what was touched when."""
    expected = set()
    with closing(sqlite3.connect(store.path)) as connection:
        for space, name, number, alive, places in connection.execute(
            f"SELECT space, record_id, id, alive, json_array({', '.join(PLACES)}) FROM record"
        ):
            touched = dict(zip(BITS.values(), json.loads(places), strict=True))
            for place in set(touched.values()) - {0}:
                here = sum(bit for bit, at in touched.items() if at == place)
                later = sum(bit for bit, at in touched.items() if at > place)
                expected.add((space, place, name, number, alive, here, later))
        assert set(connection.execute("SELECT * FROM change")) == expected


def anything(chance: random.Random, name: str) -> ServingRow:
    words = {str(n): chance.choice(["", "x", "y"]) for n in Disclosure}
    kind = chance.choice(["individual", "collective"])
    published = chance.choice([True, False])
    return row(name, published=published, kind=kind, text=chance.choice(["", "t", "u"]), **words)
