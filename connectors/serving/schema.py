"""Tables of the serving store (SQLite) and how a connection to it is opened.

``fragment`` holds the bytes, one column per disclosure class; ``record`` the narrow row that
filters scan; ``posting`` status and classification symbols in page order; ``change`` the feed:
which classes of a record a publication touched, which of its classes were touched later, and
whether it lives, so that the feed is read without ``record``.
``ix_record_order`` has ``alive`` in it, though it is always the same there: SQLite looks at it, and
would look every record of a page up for it.
Each of them belongs to a space: an office's right as it is, or a view of it (``spaces``).
The store is derived: it can be rebuilt from the register, so there are no migrations, only
``VERSION``.
"""

import sqlite3
from pathlib import Path

from ipregister.errors import ConfigurationError, StoreError
from ipregister.model import Disclosure

VERSION = 5

FRAGMENT_COLUMNS = {name: f"f.{name}" for name in Disclosure}
"""Column of each class, for a ``fragment`` called ``f``."""

NUMBER_BITS = 40
"""A record's number is that of its fragments in these bits. Above them is nothing in a space
that has fragments of its own, and the space in one that borrows them."""

FRAGMENT_OF_RECORD = f"f.id = r.id & {(1 << NUMBER_BITS) - 1}"
"""Condition that joins ``fragment f`` to ``record r``."""

PLACES = tuple(f"p_{name}" for name in Disclosure)
"""Columns of ``record``: the publication that last touched each class of the record. All of
them are the publication that took it away, once it is gone."""

COUNTS = tuple(f"n_{name}" for name in Disclosure)
"""Columns of ``publication``: how many of its space, itself included, touched each class. A
reader's place in the feed is told in these, so it says nothing about classes it may not see."""

FACTS = (
    *("application_date", "registration_date", "publication_date", "published"),
    *("right_kind", "kind", "filing_route"),
)
"""Columns of ``record`` that row rules look at, in the order of ``row_rules.Facts``."""

_SCHEMA = f"""
CREATE TABLE space (
    id INTEGER PRIMARY KEY AUTOINCREMENT, office TEXT NOT NULL, ip_right TEXT NOT NULL,
    key BLOB NOT NULL, view TEXT NOT NULL, records INTEGER NOT NULL DEFAULT 0,
    idle_since INTEGER, UNIQUE (office, ip_right, key));
CREATE TABLE publication (
    id INTEGER PRIMARY KEY AUTOINCREMENT, delivery_id TEXT NOT NULL,
    space INTEGER NOT NULL, at INTEGER NOT NULL, cause TEXT NOT NULL,
    {", ".join(f"{name} INTEGER NOT NULL DEFAULT 0" for name in COUNTS)},
    UNIQUE (delivery_id, space));
CREATE INDEX ix_publication_place ON publication (space, n_core);
CREATE TABLE fragment (
    id INTEGER PRIMARY KEY, {", ".join(f"{name} BLOB NOT NULL" for name in Disclosure)});
CREATE TABLE record (
    id INTEGER PRIMARY KEY, space INTEGER NOT NULL, record_id TEXT NOT NULL,
    sort_key TEXT NOT NULL, alive INTEGER NOT NULL, change_seq INTEGER NOT NULL,
    born INTEGER NOT NULL, {", ".join(f"{name} INTEGER NOT NULL" for name in PLACES)},
    application_number TEXT, registration_number TEXT, {", ".join(FACTS)},
    postings TEXT NOT NULL, search_text TEXT NOT NULL);
CREATE UNIQUE INDEX uq_record_id ON record (space, record_id);
CREATE INDEX ix_record_order ON record (space, sort_key, record_id, alive) WHERE alive = 1;
CREATE INDEX ix_record_number ON record (space, application_number) WHERE alive = 1;
CREATE INDEX ix_record_registration ON record (space, registration_number)
    WHERE alive = 1 AND registration_number IS NOT NULL;
CREATE TABLE life (
    space INTEGER NOT NULL, record_id TEXT NOT NULL, born INTEGER NOT NULL,
    died INTEGER NOT NULL, PRIMARY KEY (space, record_id, born)) WITHOUT ROWID;
CREATE TABLE posting (
    space INTEGER NOT NULL, scheme TEXT NOT NULL, symbol TEXT NOT NULL,
    sort_key TEXT NOT NULL, record_id TEXT NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (space, scheme, symbol, sort_key, record_id)) WITHOUT ROWID;
CREATE TABLE change (
    space INTEGER NOT NULL, publication INTEGER NOT NULL, record_id TEXT NOT NULL,
    id INTEGER NOT NULL, alive INTEGER NOT NULL, touched INTEGER NOT NULL, later INTEGER NOT NULL,
    PRIMARY KEY (space, publication, record_id)) WITHOUT ROWID;
"""


DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
"""What SQLite says of a file that is no database of its, or no whole one."""


def connect(path: Path, *, writer: bool, create: bool = False) -> sqlite3.Connection:
    """Open the store; only with ``create`` is one made where there is none.

    Raises:
        ConfigurationError: the file is damaged or has another layout, and must be rebuilt.
        StoreError: there is no store: an empty one would tell readers that all records are gone.
    """
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        if not create:
            raise StoreError(_missing(path))
        path.touch(mode=0o600)  # what is withheld from everybody is in it
    # Connections are kept one per thread; whoever closes the store closes all of them.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
        timeout=60,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        uri=True,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as exc:
        connection.close()
        if exc.sqlite_errorcode not in DAMAGED:
            raise
        raise ConfigurationError(f"{path.name} is damaged. {_rebuild_it(path)}") from exc
    # A delivery the ledger calls published must survive a power cut: one fsync per delivery.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute(f"PRAGMA cache_size = {-262144 if writer else -8192}")  # KiB
    # A reader maps all of it, as far as SQLite lets us: 2 GB as it is usually built. What is beyond
    # is copied page by page, which makes a page of the feed half as dear again. A writer would have
    # what it maps counted as its memory, more than all else, and was not faster for it.
    connection.execute(f"PRAGMA mmap_size = {0 if writer else 1 << 40}")
    _prepare(connection, path, create)
    if not writer:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, create: bool) -> None:
    if _version(connection) == 0:
        if not create:
            connection.close()
            raise StoreError(_missing(path))
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) == 0:  # nobody was faster
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    if (found := _version(connection)) != VERSION:
        raise ConfigurationError(
            f"{path.name} has layout {found}, this program needs {VERSION}. {_rebuild_it(path)}"
        )


def _missing(path: Path) -> str:
    return f"{path.name} is missing or empty. {_rebuild_it(path)}"


def _rebuild_it(path: Path) -> str:
    return f"Rebuild it from the register: iphub rebuild-serving --home {path.parent}"


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
