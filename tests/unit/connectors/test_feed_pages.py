"""Pages of the feed: the same bytes whether SQLite joins their items or they come one by one."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.serving import feed
from connectors.serving_store import (
    Changes,
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
KH: Space = ("KH", Right.TRADEMARKS)
TH: Space = ("TH", Right.TRADEMARKS)
ALL = Grant(frozenset(Disclosure))
NO_PARTIES = Grant(ALL.allowed - {Disclosure.STAKEHOLDER})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ServingStore]:
    store = ServingStore(tmp_path / "serving.sqlite")
    yield store
    store.close()


def publish(
    store: ServingStore, number: int, *rows: ServingRow, gone: tuple[str, ...] = (), at: Space = KH
) -> None:
    vanished = [(name, number) for name in gone]
    store.publish(Publication(f"d{number}", *at, AT, rows, vanished))


def row(name: str, **words: str) -> ServingRow:
    fragments = {Disclosure(key): f',"{key}":"{said}"'.encode() for key, said in words.items()}
    fragments[Disclosure.CORE] = b'{"recordId":"%b"' % name.encode()
    return ServingRow(name, 1, name, fragments)


def whole(
    store: ServingStore, grants: dict[Space, Grant], limit: int, between: bytes
) -> list[Changes]:
    pages = list[Changes]()
    while not pages or pages[-1].more:
        marks = pages[-1].marks if pages else None
        page = store.changes(grants, marks, limit, between=between)
        page.pieces = [page.joined(b"", b"")]
        pages.append(page)
    return pages


@pytest.mark.parametrize("between", [b",", b"\n"])
@pytest.mark.parametrize("limit", [1, 4, 100])
def test_a_page_is_the_same_whether_its_items_are_joined_by_sqlite_or_here(
    store: ServingStore, limit: int, between: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, 1, *(row(f"a{n}", stakeholder="x") for n in range(9)))
    publish(store, 2, *(row(f"b{n}", examination="\u00e9") for n in range(9)), gone=("a3",))
    publish(store, 3, row("a5", documents="y"), at=TH)
    publish(store, 4, row("a5", stakeholder="y"), row("b2", documents="z"))
    grants = {KH: NO_PARTIES, TH: ALL}
    joined = whole(store, grants, limit, between)
    assert sum(page.count for page in joined) == 18

    def one_by_one(*asked: Any) -> Any:
        *where, _, (*reached, room) = asked
        return feed._read_each(*where, room, tuple(reached))[0]

    monkeypatch.setattr(feed, "_read_alike", one_by_one)
    assert whole(store, grants, limit, between) == joined


def test_a_record_whose_content_is_lost_is_not_passed_over(store: ServingStore) -> None:
    publish(store, 1, row("a"), row("b"), row("c"))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("DELETE FROM fragment WHERE id = 2")
    with pytest.raises(StoreError, match="rebuild"):
        store.changes({KH: ALL}, None, 100)


def told(page: Changes, member: str) -> list[str]:
    return [msgspec.json.decode(item)[member] for item in page.items]


def test_what_comes_while_a_grant_is_read_is_told_as_the_sources(store: ServingStore) -> None:
    publish(store, 1, row("a"))
    publish(store, 2, row("p"), row("q"), row("r"), at=TH)
    alone = store.changes({KH: ALL}, None, 9)
    first = store.changes({KH: ALL, TH: ALL}, alone.marks, 2)
    publish(store, 3, row("s"), at=TH)
    second = store.changes({KH: ALL, TH: ALL}, first.marks, 9)
    assert told(first, "cause") == ["authorization"] * 2
    assert told(second, "cause") == ["authorization", "source"]


@pytest.mark.parametrize("grants", [{KH: ALL}, {KH: NO_PARTIES}, {}])
def test_a_place_of_another_store_is_refused_whatever_is_granted_now(
    store: ServingStore, grants: dict[Space, Grant]
) -> None:
    publish(store, 1, row("a"))
    (mark,) = store.changes({KH: ALL}, None, 9).marks
    elsewhere: Mark = msgspec.structs.replace(mark, counts=(9, *mark.counts[1:]))
    with pytest.raises(PlaceUnknown):
        store.changes(grants, [elsewhere], 9)


PUBLISHED = replace(NO_PARTIES, rule=RowRule(publishedOnly=True), since=1)
DOCUMENTED = Grant(frozenset({Disclosure.CORE, Disclosure.DOCUMENTS}))


@pytest.mark.parametrize(
    ("narrow", "then", "at_last"),
    [
        (NO_PARTIES, PUBLISHED, PUBLISHED),
        (NO_PARTIES, PUBLISHED, replace(PUBLISHED, since=2)),
        (Grant(frozenset({Disclosure.CORE})), DOCUMENTED, DOCUMENTED),
    ],
    ids=["fewer records", "and again", "another class"],
)
def test_who_was_to_drop_everything_is_still_told_so_after_another_decision(
    store: ServingStore, narrow: Grant, then: Grant, at_last: Grant
) -> None:
    """What it has of the records not yet reached is from when it might see more."""
    shown = [row(name, stakeholder="Dara") for name in "abcd"]
    publish(store, 1, *(msgspec.structs.replace(one, published=True) for one in shown))
    store.prepare(*KH, then)
    page = store.changes({KH: ALL}, None, 9)
    page = store.changes({KH: narrow}, page.marks, 2)
    assert told(page, "changeType") == ["retract", "upsert"]
    dropped = set[str]()
    while page.more:
        page = store.changes({KH: at_last if dropped else then}, page.marks, 1)
        for kind, name in zip(told(page, "changeType"), told(page, "recordId"), strict=True):
            assert name in dropped or kind == "retract"
            dropped.add(name)
    assert dropped == set("abcd")
