"""Connections, transactions and migrations of the ledger, on SQLite and PostgreSQL.

A write on SQLite begins IMMEDIATE: a transaction that reads first and writes later would
otherwise fail in the middle. Driver errors leave this module as the hub's own. What is
stored does not belong here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError
from time import sleep

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from connectors.faults import reach
from connectors.ledger.commits import Commits
from connectors.ledger.prepared import BUSY_TIMEOUT_MILLISECONDS, Lane
from connectors.ledger.schema import HEAD
from connectors.same_files import SameFiles
from ipregister.errors import ConfigurationError, LedgerConflict, StoreError

DriverError = DBAPIError
"""What a database's driver said, with ``orig``; Dagster's own records fail with it, too."""

WAL_ATTEMPTS = 100
WAL_PAUSE_SECONDS = 0.05
"""The switch takes milliseconds; 5 s is for a disk that is very busy."""

SILENT_SERVER = {
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",  # milliseconds, while it owes us an acknowledgement
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
}
"""When a PostgreSQL server of which nothing is heard is given up, in libpq's words and seconds. A
machine without power says no goodbye: a worker, which answers nobody meanwhile, would wait two
minutes to be connected, and up to two hours on a connection it has. A URL may say otherwise."""

_MIGRATION_LOCK = 7_145_021_964
"""Any number no other program locks: the first of several workers migrates, others wait."""


class Database:
    """An engine with the hub's two kinds of transaction."""

    def __init__(self, url: str) -> None:
        """Prepare the engine; nothing is opened yet."""
        self.engine = _engine(url)
        self._writer = self.engine.execution_options(ledger_writes=True)
        self.commits = _commits(self.engine)
        self.files = SameFiles()
        self.reading = Lane(self.engine, self.files)
        self.writing = Lane(self.engine, self.files, writes=True, commits=self.commits)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run statements that see one state of the ledger and change nothing."""
        self.files.check()
        with translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run statements that all happen or none."""
        self.files.check()
        with translated(), self._writer.begin() as connection:
            yield connection
            reach("ledger.written")
            number = self.commits.begin() if self.commits else 0
        if self.commits:
            self.commits.end(number)
        reach("ledger.committed")

    def migrate(self) -> None:
        """Bring the database to the newest migration; a no-op when it is there.

        Raises:
            ConfigurationError: a newer program has already changed this ledger.
        """
        with self.read() as connection:
            if _version(connection) == HEAD:
                return
        with self.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            if _version(connection) != HEAD:
                _upgrade(connection)

    def watch(self, *files: Path) -> None:
        """Answer nothing any more when one of these is replaced, or the ledger's own file."""
        if self.engine.dialect.name == "sqlite":
            files = (Path(str(self.engine.url.database)), *files)
        for file in files:
            self.files.watch(file)

    def close(self) -> None:
        """Close every connection."""
        self.reading.close()
        self.writing.close()
        self.engine.dispose()
        if self.commits:
            self.commits.close()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (
        ArgumentError,
        ValueError,
    ) as exc:  # says no more than this, as the URL may hold a password
        raise ConfigurationError(
            "the ledger's URL is none: write sqlite:///FILE or "
            "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        ) from exc
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigurationError(
            f"the ledger's URL begins with {parsed.drivername}: write sqlite:// or postgresql+psycopg://"
        )
    if parsed.drivername == "sqlite":
        if not parsed.database:
            raise ConfigurationError(
                "the ledger's SQLite URL names no file: several processes share it"
            )
        folder = Path(str(parsed.database)).parent.absolute()
        if not folder.is_dir():
            raise ConfigurationError(
                f"the ledger's URL names a file in {folder}, which is no folder: make it, or mend "
                "the URL. One from the root has four slashes, sqlite:////srv/hub/ledger.sqlite"
            )
        try:
            float(str(parsed.query.get("timeout", 0)))
        except ValueError as exc:
            raise ConfigurationError(
                "the timeout in the ledger's URL is no number of seconds: write ?timeout=5"
            ) from exc
    else:
        parsed = parsed.set(query=SILENT_SERVER | dict(parsed.query))
    # Parameters hold names and hashes: they have no place in an error message.
    # With a ping we survive a restart of the server; on SQLite it costs next to nothing.
    engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
    if parsed.drivername == "sqlite":
        Path(str(parsed.database)).touch(mode=0o600)
        if "timeout" not in parsed.query:  # the driver's own, in seconds
            event.listen(engine, "connect", _wait_for_locks)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _commits(engine: Engine) -> Commits | None:
    """Return the commits of a ledger on this host; those of a server are counted by nobody."""
    if engine.dialect.name != "sqlite":
        return None
    return Commits(Path(str(engine.url.database)))


def _wait_for_locks(connection: SqliteConnection, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")


def _prepare_sqlite(connection: SqliteConnection, _record: object) -> None:
    """Set what SQLite would leave at its historical defaults; first of all to wait for locks."""
    connection.isolation_level = None
    write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def write_ahead(connection: SqliteConnection) -> None:
    """Switch a new file to write-ahead logging; nearly always it is there already.

    Of several processes that open a new file at once, SQLite answers "locked" to some without
    waiting for the busy timeout.
    """
    for attempt in range(WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except OperationalError:
            if attempt == WAL_ATTEMPTS - 1:
                raise
            sleep(WAL_PAUSE_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("ledger_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def translated() -> Iterator[None]:
    """Let the database's errors leave as the hub's own.

    Raises:
        LedgerConflict: there is a row already that excludes this one.
        StoreError: the database does not answer or refused.
    """
    try:
        yield
    except IntegrityError as exc:
        raise LedgerConflict("the ledger already holds a row that excludes this one") from exc
    except SQLAlchemyError as exc:
        cause = getattr(exc, "orig", None) or exc
        raise StoreError(f"the ledger's database failed: {type(cause).__name__}: {cause}") from exc


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command  # 0.2 s, which an up-to-date ledger does not pay
    from alembic.config import Config
    from alembic.util import CommandError

    with as_file(files("connectors.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            raise ConfigurationError(f"the ledger does not fit this program: {exc}") from exc
