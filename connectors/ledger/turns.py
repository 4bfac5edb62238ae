"""Locks shared by all machines that work with one ledger on PostgreSQL.

File locks order the processes of one machine only. Each lock here has a connection of its own
and ends with it, however its process died. With a ledger in a SQLite file there is nothing to
do: only one machine can use it.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from connectors.ledger.engine import Database, translated

_KEPT = """
SET idle_session_timeout = 0;
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3
"""
"""The connection does nothing for as long as the work takes. A machine that lost its power says no
goodbye: its locks are free after a minute, and not after two hours."""


class Turns:
    """Being the only one at something, or one of several, in the whole installation."""

    def __init__(self, database: Database) -> None:
        """Lock in ``database``."""
        self._database = database
        self._idle = deque[Connection]()
        self._alone = dict[str, Connection]()

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Be the only one at ``what``; whoever comes later waits.

        Raises:
            StoreError: the database does not answer, or the lock was lost with its connection.
        """
        with self._locked(what, "") as connection:
            if connection is not None:
                self._alone[what] = connection
            try:
                yield
            finally:
                self._alone.pop(what, None)

    def confirm(self, what: str) -> None:
        """Prove that we are still alone at ``what``: nobody else was since the lock was taken.

        Raises:
            StoreError: the lock was lost with its connection.
        """
        if (connection := self._alone.get(what)) is not None:
            with translated():
                connection.execute(text("SELECT 1"))

    @contextmanager
    def together(self, what: str) -> Iterator[None]:
        """Be at ``what`` with others of this kind; whoever wants to be alone comes after us."""
        with self._locked(what, "_shared"):
            yield

    def close(self) -> None:
        """Close the connections that wait to be used again."""
        while self._idle:
            _close(self._idle.pop())

    @contextmanager
    def _locked(self, what: str, how: str) -> Iterator[Connection | None]:
        if self._database.engine.dialect.name != "postgresql":
            yield None
            return
        with translated():
            connection = self._take(what, f"pg_advisory_lock{how}")
        try:
            yield connection
            with translated():  # lost meanwhile, what was done alone was perhaps not
                _run(connection, f"pg_advisory_unlock{how}", what)
        except BaseException:
            _close(connection)
            raise
        self._idle.append(connection)

    def _take(self, what: str, lock: str) -> Connection:
        """Return a connection that has the lock; one that was used before costs no 5 ms of CPU."""
        with suppress(IndexError, SQLAlchemyError):  # its server was started anew meanwhile
            return _with_lock(self._idle.pop(), lock, what)
        engine = self._database.engine.execution_options(isolation_level="AUTOCOMMIT")
        connection = engine.connect()
        connection.detach()  # never lent to anybody else: closing it frees the lock
        connection.execute(text(_KEPT))
        return _with_lock(connection, lock, what)


def _with_lock(connection: Connection, lock: str, what: str) -> Connection:
    try:
        _run(connection, lock, what)
    except BaseException:
        _close(connection)
        raise
    return connection


def _run(connection: Connection, function: str, what: str) -> None:
    connection.execute(text(f"SELECT {function}(:key)"), {"key": _key(what)})


def _close(connection: Connection) -> None:
    try:
        connection.close()
    except SQLAlchemyError:  # it is gone, and the lock with it
        connection.invalidate()


def _key(what: str) -> int:
    """Return the number PostgreSQL knows a lock by: 64 bits, so that two things never share one."""
    return int.from_bytes(blake2b(f"iphub {what}".encode(), digest_size=8).digest(), signed=True)
