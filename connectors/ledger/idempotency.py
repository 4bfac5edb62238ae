"""Requests that may come twice and take effect once.

A key is taken in the transaction of the effect itself: of several requests at once one does
it, and a crash leaves either both or neither. What the effect is does not belong here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from connectors.ledger.engine import Database
from connectors.ledger.schema import idempotency_keys
from ipregister.errors import KeyReused, StoreError

KEEP = timedelta(hours=48)
"""Twice the day that is promised: a client may try again a night and a day later."""


@dataclass(frozen=True, slots=True)
class Once:
    """A caller's word that a request is the same as before.

    ``request`` is the SHA-256 (hex) of everything that makes it the same.
    """

    clientId: str
    key: str
    request: str


def claim(connection: Connection, once: Once, at: datetime) -> str | None:
    """Take the key for this transaction; return what it stands for when it was taken before.

    Others that want the same key wait until this transaction ends.

    Raises:
        KeyReused: it was taken for another request.
    """
    c = idempotency_keys.c
    connection.execute(delete(idempotency_keys).where(c.at < at - KEEP))
    row = {**_identity(once), "request": once.request, "at": at}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    taking = dialect.insert(idempotency_keys).values(row).on_conflict_do_nothing()
    if connection.scalar(taking.returning(c.client_id)) is not None:
        return None
    mine = select(c.request, c.subject).where(*_where(once))
    request, subject = connection.execute(mine).one()
    if request != once.request:
        raise KeyReused(
            "This Idempotency-Key was used for another request. Use a new key for a new request."
        )
    if subject is None:
        raise StoreError("an idempotency key stands for nothing")
    return str(subject)


def settle(connection: Connection, once: Once, subject: str) -> None:
    """Say what the key stands for; in the transaction that claimed it."""
    connection.execute(update(idempotency_keys).where(*_where(once)).values(subject=subject))


class Repeats:
    """Keys of requests that have their effect elsewhere, and may have it twice without harm."""

    def __init__(self, database: Database) -> None:
        """Keep them in ``database``."""
        self._database = database

    def before(self, once: Once, subject: str, at: datetime) -> str | None:
        """Return what a request stood for when its key came first; nothing when that is now.

        Raises:
            KeyReused: it came with another request then.
        """
        with self._database.write() as connection:
            before = claim(connection, once, at)
            if before is None:
                settle(connection, once, subject)
            return before


def _identity(once: Once) -> dict[str, str | bytes]:
    # Of one length, however long the sender made it.
    return {"client_id": once.clientId, "key_hash": sha256(once.key.encode()).digest()}


def _where(once: Once) -> tuple[ColumnElement[bool], ...]:
    c, mine = idempotency_keys.c, _identity(once)
    return (c.client_id == mine["client_id"], c.key_hash == mine["key_hash"])
