"""Copies of a whole ledger: into a SQLite file, and from one into an empty ledger.

A copy is always a SQLite ledger, also of a ledger on PostgreSQL, so a backup can be restored
to either. Which other stores belong to the same instant is ``connectors.backup``.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, make_url, select

from connectors.ledger.engine import Database
from connectors.ledger.schema import METADATA, audit, audit_head, clients, deliveries
from connectors.sqlite_copies import as_one_file, copy_to, pinned
from ipregister.errors import ConfigurationError

BATCH_ROWS = 1_000


@contextmanager
def pinned_ledger(url: str) -> Iterator[Callable[[Path], None]]:
    """Keep seeing a ledger as it is now; lend what copies it into a new SQLite file."""
    parsed = make_url(url)
    if parsed.drivername == "sqlite":
        with pinned(Path(str(parsed.database)), "deliveries") as source:
            yield lambda target: copy_to(source, target)
        return
    database = Database(url)
    try:
        repeatable = database.engine.execution_options(isolation_level="REPEATABLE READ")
        with repeatable.begin() as connection:
            connection.execute(select(audit_head.c.seq))  # the first statement fixes the state
            yield lambda target: _copy_to_sqlite(connection, target)
    finally:
        database.close()


def copy_into(file: Path, url: str) -> None:
    """Copy a ledger kept in a SQLite file into the empty ledger at ``url``.

    Raises:
        ConfigurationError: that ledger is not empty.
    """
    source, target = Database(f"sqlite:///{file}"), Database(url)
    try:
        source.migrate()
        target.migrate()
        with source.read() as rows, target.write() as connection:
            for table in (deliveries, clients, audit):
                if connection.scalar(select(func.count()).select_from(table)):
                    shown = make_url(url).render_as_string(hide_password=True)
                    raise ConfigurationError(
                        f"The ledger {shown} is not empty ({table.name}): restore into a new "
                        "database, nothing is overwritten."
                    )
            _copy_rows(rows, connection)
    finally:
        source.close()
        target.close()


def _copy_to_sqlite(source: Connection, target: Path) -> None:
    copy = Database(f"sqlite:///{target}")
    try:
        copy.migrate()
        with copy.write() as connection:
            _copy_rows(source, connection)
    finally:
        copy.close()
    with closing(sqlite3.connect(target)) as connection:
        as_one_file(connection)


def _copy_rows(source: Connection, target: Connection) -> None:
    target.execute(delete(audit_head))  # every new ledger has the beginning of a chain
    for table in METADATA.sorted_tables:
        rows = source.execution_options(yield_per=BATCH_ROWS).execute(select(table))
        for batch in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in batch])
