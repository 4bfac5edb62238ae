"""DuckDB as the hub uses it: in memory, bounded, without extensions from anywhere.

DuckDB computes and stores nothing. Which SQL is run is the caller's; values that SQL cannot
bind (paths, names in views) are quoted here.
"""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from connectors.staged_rows import with_columns

MEMORY_LIMIT = "512MB"
"""What one connection may hold before it spills: comparing 1M records with 1M takes 300 MB."""


def connect(
    *, temporary: Path, memory_limit: str = MEMORY_LIMIT, threads: int = 2
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory connection that spills to ``temporary``.

    Insertion order is preserved: a row's place in its delivery means something.
    """
    temporary.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(temporary),
            "threads": threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    # Footers of 400 columns: reading them again for every query took half of its time.
    con.execute("SET GLOBAL parquet_metadata_cache = true")
    # Instants come back as they are everywhere else, whatever zone the machine is in.
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    return con


def number(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """Return the one number that a query says."""
    return int(con.execute(sql).fetchall()[0][0])


def literal(value: object) -> str:
    """Return a value as an SQL string literal."""
    return "'" + str(value).replace("'", "''") + "'"


def parquet(paths: Iterable[object], *options: str) -> str:
    """Return the SQL that reads Parquet files; there must be at least one."""
    files = ", ".join(literal(path) for path in paths)
    return f"read_parquet({', '.join([f'[{files}]', *options])})"


def staged_rows(rows: Iterable[Path]) -> str:
    """Return the SQL that reads files of ``connectors.schema.staged_schema``."""
    return parquet(with_columns(rows), "union_by_name = TRUE")
