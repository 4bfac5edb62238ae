"""Pages of the feed: the same bytes whether SQLite joins their items or they come one by one."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.serving import feed
from connectors.serving_store import Changes, Publication, ServingRow, ServingStore, Space
from ipregister.authorizations import Grant
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right

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
