"""Makes the serving store anew from the register's log, delivery by delivery.

The log is never rewritten, so the same publications come in the same order and the feed is the
one readers know. Needed when the file is lost, damaged or of another layout.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb

from connectors.changes import BATCH_ROWS
from connectors.faults import reach
from connectors.record_facts import FACTS, day_of_log, row_facts
from connectors.register.ordering import ranked
from connectors.register.store import RegisterStore
from connectors.rendering import Fragments, render_fragments
from connectors.schema import canonical_fields
from connectors.served_rows import CLASSES, WORDS, serving_row
from connectors.serving.gaps import forget_places, places
from connectors.serving.rows import Publication, ServingRow, Space, view_of
from connectors.serving.schema import DAMAGED, connect
from connectors.serving.spaces import prepare
from connectors.serving.writing import publish
from ipregister.authorizations import Grant
from ipregister.errors import ConfigurationError, StoreError
from ipregister.model import Right, load_tables


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How much was published again, and whether readers may go on from where they stand."""

    deliveries: int
    records: int
    cursors_survive: bool


Instants = Callable[[str, Right], Mapping[str, datetime]]
"""When each delivery of an office and right was published, as the ledger says."""


def rebuild_serving(
    register: RegisterStore,
    path: Path,
    *,
    at: datetime,
    views: Iterable[tuple[Space, Grant]] = (),
    published: Instants = lambda _office, _right: {},
) -> Rebuilt:
    """Replace the serving store at ``path``; readers see the old one until the new one is whole.

    Nothing may be published meanwhile: the caller closes the gate.

    Args:
        register: what was published.
        path: the store's file, which need not exist.
        at: the instant, from which readers' places count anew when the old ones do not fit.
        views: views that authorizations need; readers of these start again.
        published: of a delivery it does not know, when it was received.
    """
    fresh = path.with_name(f".{path.name}.rebuilt")
    _remove(fresh)
    try:
        with closing(connect(fresh, writer=True, create=True)) as new:
            reach("rebuild.begun")
            deliveries = 0
            for right in Right:
                for office in register.offices(right):
                    deliveries += _replay(register, new, office, right, published(office, right))
                    reach("rebuild.replayed")
            (records,) = new.execute(
                "SELECT coalesce(sum(records), 0) FROM space WHERE view = ''"
            ).fetchone()
            survive = _places_of(path) == places(new)
            for space, grant in views:
                prepare(new, space, view_of(grant))
            forget_places(new, at, whole=not survive)
            reach("rebuild.whole")
            _put_in_place(new, path)
            reach("rebuild.placed")
    finally:
        _remove(fresh)
    return Rebuilt(deliveries, records, survive)


def _replay(
    register: RegisterStore,
    store: sqlite3.Connection,
    office: str,
    right: Right,
    published: Mapping[str, datetime],
) -> int:
    """Publish every delivery of one office and right again; return how many."""
    with register.connect() as con:
        register.define_log(con, right, office, "log")
        _define_moments(con)
        columns = ", ".join(f'r."{field.name}"' for field in canonical_fields(right))
        query = con.sql(
            f"""
            SELECT m.moment, m.delivery, m.shown, r.cause, r.op, r.held, r.changeSeq, r.recordKey,
                   r.recordedAt AT TIME ZONE 'UTC' AS at,
                   {row_facts(right, day_of_log(office))},
                   {CLASSES[right]} AS ".classes", {WORDS[right]} AS ".words", {columns}
            FROM log r JOIN moments m USING (changeSeq)
            ORDER BY r.changeSeq
            """
        )
        rows = (row for batch in query.to_arrow_reader(BATCH_ROWS) for row in batch.to_pylist())
        known = set[str]()
        for moment, changes in groupby(rows, itemgetter("moment")):
            rest = iter(changes)
            first = next(rest)
            # A delivery that was published again (read anew) has two moments, one identifier.
            name = first["delivery"] if first["delivery"] not in known else f"again:{moment}"
            known.add(first["delivery"])
            at = published.get(name, first["at"].replace(tzinfo=UTC))
            publish(store, _publication(name, office, right, at, first, rest))
    return len(known)


def _define_moments(con: duckdb.DuckDBPyConnection) -> None:
    """Make ``moments``: at which publication a row became visible, and whether it did.

    What readers see of a record is the newest by the office's order; a late delivery's row
    behind it was never shown.
    """
    con.execute(
        f"""
        CREATE TEMP TABLE moments AS
        WITH published AS (
            SELECT recordId, changeSeq, rank, op = 'vanish' OR NOT held AS counts,
                   coalesce(amendedBy, deliveryId) AS delivery,
                   (delivery, cause) IS DISTINCT FROM lag((delivery, cause)) OVER arrival AS begins
            FROM ({ranked("log")})
            WINDOW arrival AS (ORDER BY changeSeq)
        ), numbered AS (
            SELECT *, sum(begins::INTEGER) OVER (ORDER BY changeSeq) AS moment FROM published
        )
        SELECT changeSeq, moment, delivery,
               counts AND rank >= max(rank) FILTER (WHERE counts) OVER (
                   PARTITION BY recordId ORDER BY moment
                   RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS shown
        FROM numbered
        """
    )


def _publication(
    name: str,
    office: str,
    right: Right,
    at: datetime,
    first: dict[str, Any],
    rest: Iterator[dict[str, Any]],
) -> Publication:
    vanished: list[tuple[str, int]] = []
    table = load_tables()[right]

    def upserts() -> Iterator[ServingRow]:
        for row in chain([first], rest):
            if not row["shown"]:
                continue
            if row["op"] == "vanish":
                vanished.append((row["recordId"], row["changeSeq"]))  # read when these are through
            else:
                yield served(row, render_fragments(table, row))

    return Publication(name, office, right, at, upserts(), vanished, first["cause"])


def served(row: dict[str, Any], fragments: Fragments) -> ServingRow:
    """Return a row of the log, with ``.classes``, ``.words`` and facts, for the serving store."""
    return serving_row(
        row["recordId"],
        row["changeSeq"],
        row["recordKey"],
        row["applicationNumber"],
        row["applicationDate"],
        row["registrationNumber"],
        row["status"],
        *(row[f".{name}"] for name in FACTS),
        row[".classes"],
        row[".words"],
        *fragments.values(),
    )


def _places_of(path: Path) -> list[tuple[object, ...]] | None:
    """Return the places of the store that is there, ``None`` when it cannot be read."""
    if not path.exists():
        return None
    try:
        with closing(connect(path, writer=False)) as old:
            return places(old)
    except (sqlite3.DatabaseError, ConfigurationError, StoreError):
        return None


def _put_in_place(new: sqlite3.Connection, path: Path) -> None:
    """Copy the new store over the old one in one transaction of its file.

    Readers that have the file open go on; one that is no database any more is removed. A full
    disk is told as an error of the database, too, and leaves the old store as it was.
    """
    try:
        _copy(new, path)
    except sqlite3.DatabaseError as exc:
        if exc.sqlite_errorcode not in DAMAGED:
            raise
        _remove(path)
        _copy(new, path)


def _copy(new: sqlite3.Connection, path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=60)) as target:
        target.execute("PRAGMA journal_mode = WAL")
        reach("rebuild.opened")
        new.backup(target)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
