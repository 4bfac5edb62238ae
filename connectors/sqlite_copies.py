"""Consistent copies of SQLite databases that others are writing to."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

PAGES = 2_000
"""Pages of 4 KiB copied at a time."""


@contextmanager
def pinned(path: Path, table: str) -> Iterator[sqlite3.Connection]:
    """Open a database and keep seeing it as it is now, whatever others write.

    Args:
        path: its file, in WAL mode.
        table: any table of it; reading from it is what begins the transaction.
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN")
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall()
        yield connection


def copy_to(source: sqlite3.Connection, target: Path) -> None:
    """Copy what ``source`` sees into a new database file, readable by its owner alone."""
    target.touch(mode=0o600)
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy, pages=PAGES, sleep=0)
        as_one_file(copy)


def as_one_file(connection: sqlite3.Connection) -> None:
    """Leave write-ahead logging, so that nothing of the database is beside its file."""
    connection.execute("PRAGMA journal_mode = DELETE")
