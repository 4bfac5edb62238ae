"""Proofs of possession that were used: each once, whatever worker sees it.

A proof comes with every request of a client that binds its tokens, so remembering it must
not wait for the ledger's writers. On SQLite it is a file of its own beside the ledger; on
PostgreSQL, where several hosts share the ledger, a table there. What is lost with the file
is at worst a replay within a minute, by someone who holds the token too.
"""

import sqlite3
import threading
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy.dialects import postgresql

from connectors.ledger.columns import microseconds
from connectors.ledger.engine import Database, write_ahead
from connectors.ledger.schema import assertions
from ipregister.errors import StoreError

OWNER = "dpop"
"""Stands where an assertion has its client; no client is called so."""

BUSY_TIMEOUT_MILLISECONDS = 5_000
"""Other writers insert one row each."""

CLEAN_EVERY = 1_000
"""Proofs between two cleanings; each then takes away about as many."""


class Proofs:
    """Using up proofs; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        """Remember beside or in ``database``; nothing is opened yet."""
        self._database = database
        self._lock = threading.Lock()
        self._file: sqlite3.Connection | None = None
        self._used = 0

    def use(self, proof: str, *, until: datetime, at: datetime) -> bool:
        """Use up a proof; ``False`` means it was used before, by whatever process.

        Args:
            proof: what tells it from all others.
            until: how long to remember it.
            at: now.

        Raises:
            StoreError: it cannot be remembered, so it must not be believed.
        """
        name = sha256(proof.encode("utf-8", "backslashreplace")).digest()
        if self._database.engine.dialect.name == "postgresql":
            return self._use_in_ledger(name, microseconds(until))
        with self._lock:
            try:
                return self._use_in_file(name, microseconds(until), microseconds(at))
            except sqlite3.Error as exc:
                raise StoreError(f"the store of proofs failed: {exc}") from exc

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _use_in_ledger(self, name: bytes, until: int) -> bool:
        row = {"client_id": OWNER, "jti_hash": name, "expires_at": until}
        once = postgresql.insert(assertions).values(row).on_conflict_do_nothing()
        with self._database.write() as connection:
            return connection.scalar(once.returning(assertions.c.client_id)) is not None

    def _use_in_file(self, name: bytes, until: int, now: int) -> bool:
        if self._file is None:
            self._file = self._open()
        self._used += 1
        if self._used % CLEAN_EVERY == 0:
            self._file.execute("DELETE FROM proof WHERE until <= ?", (now,))
        once = "INSERT OR IGNORE INTO proof (name, until) VALUES (?, ?)"
        return self._file.execute(once, (name, until)).rowcount == 1

    def _open(self) -> sqlite3.Connection:
        ledger = Path(str(self._database.engine.url.database))
        path = ledger.with_name(f"{ledger.stem}-proofs.sqlite")
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
        write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS proof (name BLOB PRIMARY KEY, until INTEGER NOT NULL)"
            " WITHOUT ROWID"
        )
        return connection
