"""Rows of the register's log for what one delivery changes: what was staged, or is in the log."""

from collections.abc import Iterable, Iterator, Sequence

import duckdb
import pyarrow as pa

from connectors.changes import BATCH_ROWS, Changes, pieces
from connectors.faults import reach
from connectors.register.engine import literal, number
from connectors.register.store import RegisterStore
from connectors.schema import canonical_fields, staged_schema
from ipregister.errors import StoreError

PIECE_RECORDS = 25_000
"""Contents that are copied within the log at a time, for the reason of ``changes.PIECE_BYTES``."""


def log_batches(
    con: duckdb.DuckDBPyConnection, queries: Iterable[str], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield what the queries say, as ``schema``.

    Raises:
        StoreError: a change has no content any more.
    """
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


def log_queries(
    con: duckdb.DuckDBPyConnection, store: RegisterStore, changes: Changes
) -> Iterator[str]:
    """Return the SELECTs of the log's new rows: what was staged, what is gone, what is copied.

    Each is to be read before the next one is asked for. Delta's tables are opened here, and not
    when they are: that cannot be done while one is written from what the queries say.
    """
    kinds = con.execute("SELECT DISTINCT copied, op = 'vanish' FROM plan").fetchall()
    copied = _define_copies(con, store, changes) if (True, False) in kinds else []
    return _queries(con, changes, copied, has_gone=(False, True) in kinds)


def _queries(
    con: duckdb.DuckDBPyConnection,
    changes: Changes,
    copied: Sequence[tuple[int, int]],
    *,
    has_gone: bool,
) -> Iterator[str]:
    for joined in pieces(con, changes, "*", "NOT copied AND op <> 'vanish'"):
        yield _log_rows(changes, joined, "r.source")
    if has_gone:
        con.register("nothing", staged_schema(changes.right).empty_table())
        gone = "(SELECT * FROM plan WHERE NOT copied AND op = 'vanish')"
        content = "LEFT JOIN nothing r USING (part, sequence)"
        yield _log_rows(changes, f"{gone} p {content}", "r.source")
    for first, last in copied:
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
