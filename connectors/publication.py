"""From a plan to readers: the log gets a delivery's changes, then the serving store.

Both steps are one transaction each and know the delivery's name, so either may be repeated
after a crash without a second effect. Whether a delivery may be published was decided before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa

from connectors.faults import reach
from connectors.record_facts import row_facts
from connectors.register.engine import literal, number, parquet
from connectors.register.store import RegisterStore
from connectors.schema import canonical_fields, fragment_column, log_schema, staged_schema
from connectors.serving.rows import Cause
from connectors.serving_store import Publication, ServingRow, ServingStore
from connectors.staging.parts import cycle_collector_paused
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right

BATCH_ROWS = 4_000

PIECE_BYTES = 24 << 20
"""Staged files that are joined with the plan at a time, some 25,000 records: DuckDB holds one side
of a join in memory, and of a million whole records that is more than it may use."""

PIECE_RECORDS = 25_000
"""The same for contents that are copied within the log."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one delivery changes, decided and placed.

    ``plan`` is as ``connectors.register.difference`` wrote it, ``rows`` are the staged rows it
    refers to, ``first_change`` is the ``changeSeq`` of its first change, ``at`` when the
    delivery was received (UTC). ``cause`` is ``processing`` when our own rules or mappings
    changed and not the office's data.
    """

    delivery_id: str
    office: str
    right: Right
    plan: Path
    rows: Sequence[Path]
    first_change: int
    at: datetime
    cause: Cause = "source"


def append_to_register(store: RegisterStore, changes: Changes) -> None:
    """Append a delivery's changes to the register's log, in one commit.

    Raises:
        DeltaError: nothing was appended; around a ``StoreError`` when a change has no content any
            more.
    """
    with store.connect() as con:
        _define_plan(con, changes)
        # All of them now: Delta cannot open a table while it writes one from what we yield.
        queries = list(_log_queries(con, store, changes))
        batches = _log_batches(con, queries, log_schema(changes.right))
        reader = pa.RecordBatchReader.from_batches(log_schema(changes.right), batches)
        store.append(changes.right, reader, changes.delivery_id)


def _log_batches(
    con: duckdb.DuckDBPyConnection, queries: Sequence[str], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    rows = 0
    for query in queries:
        for batch in con.sql(query).to_arrow_reader(BATCH_ROWS):
            rows += batch.num_rows
            yield pa.RecordBatch.from_arrays(
                [batch.column(name).cast(schema.field(name).type) for name in schema.names],
                schema=schema,
            )
            reach("log.batch")
    planned = number(con, "SELECT count(*) FROM plan")
    if rows != planned:
        raise StoreError(f"{planned:,} changes are planned, and {rows:,} have their content")


def _log_queries(
    con: duckdb.DuckDBPyConnection, store: RegisterStore, changes: Changes
) -> Iterator[str]:
    """Yield the SELECTs of the log's new rows: what was staged, what is gone, what is copied."""
    staged = "(SELECT * FROM plan WHERE NOT copied AND op <> 'vanish')"
    for piece in _pieces(changes.rows):
        content = f"JOIN {parquet(piece)} r USING (part, sequence)"
        yield _log_rows(changes, f"{staged} p {content}", "r.source")
    kinds = con.execute("SELECT DISTINCT copied, op = 'vanish' FROM plan").fetchall()
    if (False, True) in kinds:
        con.register("nothing", staged_schema(changes.right).empty_table())
        gone = "(SELECT * FROM plan WHERE NOT copied AND op = 'vanish')"
        content = "LEFT JOIN nothing r USING (part, sequence)"
        yield _log_rows(changes, f"{gone} p {content}", "r.source")
    if (True, False) in kinds:
        for first, last in _define_copies(con, store, changes):
            copies = f"(SELECT * FROM copies WHERE original BETWEEN {first} AND {last})"
            known = f"(SELECT * FROM log WHERE changeSeq BETWEEN {first} AND {last})"
            content = f"JOIN {known} r ON r.changeSeq = p.original"
            yield _log_rows(changes, f"{copies} p {content}", "p.source")


def _define_copies(
    con: duckdb.DuckDBPyConnection, store: RegisterStore, changes: Changes
) -> list[tuple[int, int]]:
    """Make ``copies``: the plan's copied changes, each with the ``original`` change in the log.

    Returns:
        Ranges of originals, least and greatest, in pieces.
    """
    store.define_log(con, changes.right, changes.office, "log")
    con.execute(
        """
        CREATE TEMP TABLE copies AS
        WITH copied AS (SELECT * FROM plan WHERE copied)
        SELECT p.*, o.original
        FROM copied p JOIN (
            SELECT recordId, contentHash, max(changeSeq) AS original
            FROM log SEMI JOIN copied USING (recordId, contentHash)
            GROUP BY recordId, contentHash
        ) o USING (recordId, contentHash)
        """
    )
    return con.execute(
        f"""
        SELECT min(original), max(original)
        FROM (SELECT original, dense_rank() OVER (ORDER BY original) AS nth FROM copies)
        GROUP BY (nth - 1) // {PIECE_RECORDS}
        ORDER BY 1
        """
    ).fetchall()


def _log_rows(changes: Changes, rows: str, source: str) -> str:
    columns = ", ".join(
        f'r."{field.name}"' for field in canonical_fields(changes.right) if field.name != "recordId"
    )
    own = literal(changes.delivery_id)
    return f"""
        SELECT {literal(changes.office)} AS office,
               ({changes.first_change} + p.place)::BIGINT AS changeSeq,
               p.op, p.deliveryId, p.officeOrder,
               CASE WHEN p.amends THEN {own} END AS amendedBy,
               TIMESTAMPTZ {literal(changes.at.isoformat())} AS recordedAt,
               {literal(changes.cause)} AS cause,
               p.held, p.recordKey, r.contentHash, r.classHashes, p.changedClasses,
               {source} AS source, r.derived, p.recordId, {columns}
        FROM {rows}
    """


def publish_to_serving(
    register: RegisterStore,
    serving: ServingStore,
    changes: Changes,
    logged: Callable[[], object] | None = None,
) -> None:
    """Make a delivery's changes visible to third parties, all at once.

    Args:
        register: where the rows are read through.
        serving: what third parties read.
        changes: the delivery's.
        logged: returns when they are in the log, and is called before anybody sees anything; an
            exception it raises takes everything back. Not given by who writes the log later.
    """
    with register.connect() as con, cycle_collector_paused():
        _define_plan(con, changes)
        vanished = con.execute(
            f"""
            SELECT recordId, {changes.first_change} + place
            FROM plan
            WHERE op = 'vanish' AND wasVisible AND shown
            ORDER BY place
            """
        ).fetchall()
        serving.publish(
            Publication(
                deliveryId=changes.delivery_id,
                office=changes.office,
                right=changes.right,
                at=changes.at,
                upserts=_serving_rows(con, changes),
                vanished=vanished,
                cause=changes.cause,
            ),
            logged,
        )


def _define_plan(con: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    con.execute(f"CREATE TEMP VIEW plan AS SELECT * FROM {parquet([changes.plan])}")


def _pieces(rows: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the staged files in pieces of ``PIECE_BYTES``."""
    piece, size = list[Path](), 0
    for path in rows:
        piece.append(path)
        size += path.stat().st_size
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _serving_rows(con: duckdb.DuckDBPyConnection, changes: Changes) -> Iterator[ServingRow]:
    right, day = changes.right, f"DATE {literal(changes.at.date().isoformat())}"
    fragments = ", ".join(f"r.{fragment_column(name)}" for name in Disclosure)
    for piece in _pieces(changes.rows):
        query = con.sql(
            f"""
            SELECT p.recordId, {changes.first_change} + p.place AS changeSeq, r.recordKey,
                   r.applicationNumber, r.applicationDate, r.registrationNumber, r.status,
                   {row_facts(right, day)},
                   {CLASSES[right]} AS classes, {WORDS[right]} AS words, {fragments}
            FROM plan p JOIN {parquet(piece)} r USING (part, sequence)
            WHERE NOT p.held AND p.op <> 'vanish' AND p.shown
            """
        )
        for batch in query.to_arrow_reader(BATCH_ROWS):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield serving_row(*row)


def serving_row(
    record_id: str,
    change: int,
    key: str,
    number: str | None,
    filed: date | None,
    registration: str | None,
    status: str | None,
    registered: date | None,
    first_published: date | None,
    published: bool,
    right_kind: str | None,
    kind: str | None,
    route: str | None,
    classes: list[str | None] | None,
    words: list[str | None] | None,
    *fragments: bytes,
) -> ServingRow:
    """Return one record as the serving store takes it; ``fragments`` in the order of classes."""
    return ServingRow(
        recordId=record_id,
        changeSeq=change,
        sortKey=key.split("/", 2)[2],
        fragments=dict(zip(_CLASS_ORDER, fragments, strict=True)),
        applicationNumber=number,
        applicationDate=filed,
        registrationNumber=registration,
        status=status,
        registrationDate=registered,
        publicationDate=first_published,
        published=published,
        rightKind=right_kind,
        kind=kind,
        filingRoute=route,
        classes=tuple([_scheme_and_symbol(entry) for entry in classes or () if entry]),
        searchText="\n".join([word for word in words or () if word]),
    )


@lru_cache(maxsize=65_536)
def _scheme_and_symbol(entry: str) -> tuple[str, str]:
    scheme, _, symbol = entry.partition(":")
    return scheme, symbol


_CLASS_ORDER = tuple(Disclosure)


_SYMBOLS = "list_transform({list}, lambda c: c.scheme || ':' || c.symbol)"
_TEXTS = "list_transform({list}, lambda t: t.text)"

CLASSES = {
    Right.TRADEMARKS: "list_concat("
    "list_transform(r.goodsServices, lambda g: 'nice:' || g.classNumber), "
    + _SYMBOLS.format(list="r.classifications")
    + ")",
    Right.PATENTS: _SYMBOLS.format(list="r.classifications"),
    Right.DESIGNS: "flatten(list_transform(r.designs, lambda d: "
    + _SYMBOLS.format(list="d.classifications")
    + "))",
}
"""Classification symbols of one record as ``scheme:symbol``, for filters."""

WORDS = {
    Right.TRADEMARKS: "list_concat("
    + ", ".join(
        _TEXTS.format(list=f"r.{name}")
        for name in ("markVerbalElements", "significantVerbalElements", "translations")
    )
    + ")",
    Right.PATENTS: _TEXTS.format(list="r.titles"),
    Right.DESIGNS: "flatten(list_transform(r.designs, lambda d: "
    + _TEXTS.format(list="d.titles")
    + "))",
}
"""Words of one record a third party may search: mark words and titles, all of class ``core``."""
