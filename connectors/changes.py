"""What one delivery changes, as the log and the serving store take it up.

What they make of it is ``log_rows`` and ``served_rows``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from connectors.register.engine import parquet, staged_rows
from connectors.serving.rows import Cause
from ipregister.model import Right

BATCH_ROWS = 4_000

PIECE_BYTES = 24 << 20
"""Staged files that are joined with their part of the plan at a time, some 25,000 records: DuckDB
holds one side of a join in memory, and of a million records that is more than it may use."""


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


def define_plan(con: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Make ``plan``."""
    con.execute(f"CREATE TEMP VIEW plan AS SELECT * FROM {parquet([changes.plan])}")


def pieces(
    con: duckdb.DuckDBPyConnection, changes: Changes, columns: str, condition: str
) -> Iterator[str]:
    """Yield the staged rows a plan means, in pieces of ``PIECE_BYTES``: as SQL for behind FROM.

    Of the plan's rows (``p``) that meet ``condition`` a piece has ``columns``; staged rows are
    ``r``. A piece is to be read before the next one is asked for. The plan's part is a table, so
    that DuckDB knows how small it is: of a plan of a million it took the other, wide side into
    memory, which made the log half as dear again.
    """
    for paths in _pieces(changes.rows):
        rows = staged_rows(paths)
        first, last = con.execute(f"SELECT min(part), max(part) FROM {rows}").fetchall()[0]
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE piece AS
            SELECT {columns} FROM plan WHERE {condition} AND part BETWEEN {first} AND {last}
            """
        )
        yield f"piece p JOIN {rows} r USING (part, sequence)"


def _pieces(rows: Sequence[Path]) -> Iterator[list[Path]]:
    piece, size = list[Path](), 0
    for path in rows:
        piece.append(path)
        size += path.stat().st_size
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
