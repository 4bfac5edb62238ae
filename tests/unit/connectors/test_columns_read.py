"""What SQLite is asked for: no column of a class that is withheld, in any statement of a reader."""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from connectors import serving_store
from connectors.serving_store import Filters, Publication, ServingRow, ServingStore
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

TM = Right.TRADEMARKS
KH = ("KH", TM)
AT = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
ALL = Grant(frozenset(Disclosure))
WITHHOLDABLE = [name for name in Disclosure if name is not Disclosure.CORE]
MASKS = [ALL.allowed - set(held) for size in range(5) for held in combinations(WITHHOLDABLE, size)]
FILTERS = (
    Filters(),
    Filters(applicationNumber="KH/a", registrationNumber="R/a", q="lotus"),
    Filters(applicationDateFrom=AT.date(), status=("filed",), symbols={"nice": ("5", "35")}),
)


def row(record_id: str, of: str) -> ServingRow:
    fragments = {name: f',"{name}":"{of} {name}"'.encode() for name in Disclosure}
    fragments[Disclosure.CORE] = b'{"recordId":"%b"' % record_id.encode()
    return ServingRow(
        recordId=record_id, fragments=fragments, sortKey=f"KH/{record_id}", changeSeq=1
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with records of two deliveries, the second of which changed one and took one."""
    path = tmp_path_factory.mktemp("store") / "serving.sqlite"
    with closing(ServingStore(path)) as store:
        rows = [row(name, "first") for name in "abc"]
        store.publish(Publication("KH-1", "KH", TM, AT, rows, []))
        store.publish(Publication("KH-2", "KH", TM, AT, [row("a", "second")], [("b", 2)]))
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Return the columns of fragments that statements read, as SQLite itself says."""
    columns: set[str] = set()

    def note(action: int, table: str | None, column: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table == "fragment" and column:
            columns.add(column)
        return sqlite3.SQLITE_OK

    def connect(path: Path, *, writer: bool, create: bool = False) -> sqlite3.Connection:
        connection = plain(path, writer=writer, create=create)
        connection.set_authorizer(note)
        return connection

    plain = serving_store.connect
    monkeypatch.setattr(serving_store, "connect", connect)
    return columns


def read_everything(store: ServingStore, grant: Grant) -> int:
    """Read in every way there is; return how many records came."""
    seen = sum(store.record(*KH, name, grant) is not None for name in "abc")
    for filters in FILTERS:
        seen += len(store.page(*KH, grant, filters, limit=9).bodies)
        with closing(store.reading(*KH, grant, filters)) as reading:
            seen += sum(len(piece.records) for piece in iter(reading.read, None))
    marks = None
    for shared in (grant, replace(grant, since=5), grant):
        changes = store.changes({KH: shared}, marks, 9)
        seen, marks = seen + len(changes.items), changes.marks
    store.count(*KH, grant)
    store.totals()
    store.is_gone(*KH, "b", grant)
    store.place(*KH, grant)
    store.places({KH: grant})
    return seen


@pytest.mark.parametrize("allowed", MASKS, ids=lambda mask: "+".join(sorted(mask)))
def test_no_statement_names_a_column_that_is_withheld(
    path: Path, asked: set[str], allowed: frozenset[Disclosure]
) -> None:
    with closing(ServingStore(path)) as store:
        assert read_everything(store, Grant(allowed)) > 6
    assert asked - {"id"} == {str(name) for name in allowed}


def test_a_column_that_is_named_would_be_noticed(path: Path, asked: set[str]) -> None:
    with closing(serving_store.connect(path, writer=False)) as connection:
        connection.execute("SELECT 1 FROM fragment WHERE stakeholder IS NULL").fetchall()
    assert asked == {"stakeholder"}
