"""Statements that are compiled once and run by the driver itself, on connections of their own.

For the few that requests wait for all day long: who asks, who wants a token, a token. Going
through SQLAlchemy takes several times as long as SQLite takes to run them. What a statement
says is still SQLAlchemy's, so it means the same on both databases.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Dialect, Engine, Executable

from connectors.faults import reach
from connectors.ledger.commits import Commits
from connectors.same_files import SameFiles
from ipregister.errors import LedgerConflict, StoreError

SQLITE_PAGES = 2_000
"""Cache of one connection: tokens, clients and authorizations fit."""

BUSY_TIMEOUT_MILLISECONDS = 20_000
"""Writers queue; the longest transaction (a listing of 100,000 files) takes about 3 s."""

Row = tuple[Any, ...]
Process = Callable[[Any], Any]


class Prepared:
    """One statement in the words of a driver."""

    def __init__(self, statement: Executable, dialect: Dialect, *, columns: tuple[str, ...] = ()):
        """Compile it; of an insertion, ``columns`` are those that get values."""
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns or None)  # type: ignore[attr-defined]
        self.sql = str(compiled)
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        self._positional = bool(compiled.positional)
        self._binds: list[tuple[str, Process | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in names
        ]
        self._constants: dict[str, Any] = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }

    def run(self, connection: Any, values: dict[str, Any]) -> Any:
        """Run it with these values, by name; return the driver's cursor."""
        known = self._constants | values if self._constants else values
        if self._positional:
            return connection.execute(
                self.sql,
                [
                    known[name] if process is None else process(known[name])
                    for name, process in self._binds
                ],
            )
        given = {
            name: known[name] if process is None else process(known[name])
            for name, process in self._binds
        }
        return connection.execute(self.sql, given)


class Lane:
    """Idle connections to one database, for prepared statements; safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        files: SameFiles,
        *,
        writes: bool = False,
        commits: Commits | None = None,
    ) -> None:
        """Prepare for reading, or for writing, which is counted; nothing is opened yet."""
        self._engine = engine
        self._files = files
        self._writes = writes
        self._commits = commits
        # At most as many as there ever were requests at the same time.
        self._idle: deque[Any] = deque()

    @property
    def dialect(self) -> Dialect:
        """Return what to compile statements for."""
        return self._engine.dialect

    def rows(self, statement: Prepared, values: dict[str, Any]) -> list[Row]:
        """Return what a statement finds, outside of any transaction: the newest there is."""
        connection, cursor = self._start(lambda given: statement.run(given, values))
        try:
            rows: list[Row] = cursor.fetchall()
        except self._failure as exc:
            self._drop(connection)
            raise StoreError(_said(exc)) from exc
        self._idle.append(connection)
        return rows

    @contextmanager
    def write(self) -> Iterator[Any]:
        """Lend a connection whose statements all happen or none."""
        begin = "BEGIN IMMEDIATE" if self.dialect.name == "sqlite" else "BEGIN"
        connection, _ = self._start(lambda given: given.execute(begin))
        try:
            yield connection
            reach("ledger.written")
            number = self._commits.begin() if self._commits else 0
            connection.execute("COMMIT")
        except self._failure as exc:
            self._drop(connection)
            if isinstance(exc, self._module.IntegrityError):
                raise LedgerConflict(
                    "the ledger already holds a row that excludes this one"
                ) from exc
            raise StoreError(_said(exc)) from exc
        except BaseException:
            self._give_back(connection)
            raise
        if self._commits:
            self._commits.end(number)
        self._idle.append(connection)
        reach("ledger.committed")

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _start(self, begin: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Return a connection and what its first statement returned."""
        self._files.check()
        for attempt in ("idle", "new"):
            try:
                connection = self._idle.pop() if attempt == "idle" else self._connect()
            except IndexError:
                continue
            try:
                return connection, begin(connection)
            except self._failure as exc:
                # The server may have restarted under an idle connection: once more, on a new one.
                self._drop(connection)
                if attempt == "new":
                    raise StoreError(_said(exc)) from exc
        raise StoreError("the ledger's database gave no connection")

    def _give_back(self, connection: Any) -> None:
        try:
            connection.execute("ROLLBACK")
        except self._failure:
            self._drop(connection)
        else:
            self._idle.append(connection)

    def _drop(self, connection: Any) -> None:
        # Closing rolls back what was begun.
        with suppress(self._failure):
            connection.close()

    def _connect(self) -> Any:
        arguments, keywords = self.dialect.create_connect_args(self._engine.url)
        try:
            if self.dialect.name != "sqlite":
                keywords.update(autocommit=True, prepare_threshold=0)
                return self._module.connect(*arguments, **keywords)
            keywords.update(check_same_thread=False, isolation_level=None)
            connection = self._module.connect(*arguments, **keywords)
            if self._writes:
                if "timeout" not in self._engine.url.query:  # the driver's own, in seconds
                    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
            else:
                connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = {SQLITE_PAGES}")
        except self._failure as exc:
            raise StoreError(_said(exc)) from exc
        return connection

    @property
    def _module(self) -> Any:
        return self.dialect.loaded_dbapi

    @property
    def _failure(self) -> type[Exception]:
        failure: type[Exception] = self.dialect.loaded_dbapi.Error
        return failure


def _said(exc: Exception) -> str:
    return f"the ledger's database failed: {type(exc).__name__}"


def processors(columns: tuple[Any, ...], dialect: Dialect) -> list[Process]:
    """Return, per column of a statement, what makes a value of what the driver gives."""
    found = []
    for column in columns:
        process = column.type.dialect_impl(dialect).result_processor(dialect, None)
        found.append(process or (lambda value: value))
    return found
