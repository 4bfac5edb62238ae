"""The audit chain: who did what, when, with the state before and after.

Every row carries the hash of its predecessor, so that an edited, deleted or reordered row
shows; the head row shows a cut-off tail. Whoever can rewrite the whole file can rewrite the
chain, so the head belongs, signed, somewhere else every day. Rows hold identifiers and
decisions, never secrets, tokens or record content.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Dialect, Row, Text, insert, select, type_coerce, update

from connectors.ledger.columns import Json, canonical, readable
from connectors.ledger.engine import Database
from connectors.ledger.prepared import Prepared
from connectors.ledger.schema import audit, audit_head
from ipregister.instants import instant

START = "0" * 64
"""What the first row names as its predecessor."""

_HEAD = select(audit_head.c.seq, audit_head.c.hash).with_for_update()


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the chain; ``at`` is an ISO 8601 instant in UTC."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    before: Json
    after: Json

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "seq": self.seq,
            "at": self.at,
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """The first row at which the chain does not hold, and what is wrong with it."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain, in most cases its end: number and hash of a row."""

    seq: int
    hash: str


def append(
    connection: Connection,
    *,
    at: datetime,
    by: str,
    action: str,
    subject: str,
    before: Json = None,
    after: Json = None,
) -> None:
    """Add a row within the caller's transaction.

    Call it last: on PostgreSQL it takes the lock all writers queue at, and a writer that
    takes further locks behind it could meet another one there.
    """
    seq, previous = connection.execute(_HEAD).one()
    row = _row(seq, previous, at, by, action, subject, before, after)
    connection.execute(insert(audit), row)
    connection.execute(update(audit_head).values(seq=row["seq"], hash=row["hash"]))


class Appender:
    """Adds rows by prepared statements; what ``append`` says holds here, too."""

    def __init__(self, dialect: Dialect) -> None:
        """Compile the statements."""
        self._head = Prepared(_HEAD, dialect)
        self._insert = Prepared(insert(audit), dialect, columns=tuple(audit.c.keys()))
        self._move = Prepared(update(audit_head), dialect, columns=("seq", "hash"))

    def append(
        self,
        connection: Any,
        *,
        at: datetime,
        by: str,
        action: str,
        subject: str,
        before: Json = None,
        after: Json = None,
    ) -> None:
        """Add a row within the transaction of a driver's connection; last, too."""
        seq, previous = self._head.run(connection, {}).fetchone()
        row = _row(seq, previous, at, by, action, subject, before, after)
        self._insert.run(connection, row)
        self._move.run(connection, {"seq": row["seq"], "hash": row["hash"]})


def _row(
    seq: int,
    previous: str,
    at: datetime,
    by: str,
    action: str,
    subject: str,
    before: Json,
    after: Json,
) -> dict[str, Any]:
    """Return the row that follows the head of the chain."""
    row: dict[str, Any] = {
        "seq": seq + 1,
        "at": instant(at),
        "actor": readable(by),
        "action": action,
        "subject": readable(subject),
        "before": _text(before),
        "after": _text(after),
    }
    digest = _digest(previous, row.values())
    return row | {"previous_hash": previous, "hash": digest, "before": before, "after": after}


def _text(document: Json) -> str | None:
    return None if document is None else canonical(document)


def _digest(previous: str, row: Iterable[Json]) -> str:
    return sha256(f"{previous}\n{canonical(list(row))}".encode()).hexdigest()


class Audit:
    """Reading and checking the chain."""

    def __init__(self, database: Database) -> None:
        """Read from ``database``."""
        self._database = database

    def head(self) -> Head:
        """Return the end of the chain, to be kept elsewhere."""
        with self._database.read() as connection:
            row = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one()
        return Head(row.seq, row.hash)

    def entries(
        self, *, subject: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[Entry]:
        """Return rows in order, at most ``limit``, behind number ``after``."""
        query = select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def of_action(self, action: str) -> list[Entry]:
        """Return every row of one action, in order."""
        query = select(audit).where(audit.c.action == action).order_by(audit.c.seq)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def note(self, *, at: datetime, by: str, action: str, subject: str, after: Json) -> None:
        """Add a row about something that is kept elsewhere than in the ledger."""
        with self._database.write() as connection:
            append(connection, at=at, by=by, action=action, subject=subject, after=after)

    def verify(self) -> BrokenRow | None:
        """Return the first row that was edited, deleted or moved, or ``None``."""
        c = audit.c
        # As text: a damaged document must be found, not stumbled over.
        documents = type_coerce(c.before, Text), type_coerce(c.after, Text)
        hashed = (c.seq, c.at, c.actor, c.action, c.subject, *documents)
        query = select(*hashed, c.previous_hash, c.hash).order_by(c.seq)
        with self._database.read() as connection:
            head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one_or_none()
            # Closed here: PostgreSQL's cursor is still open where the check stops early.
            with connection.execution_options(yield_per=1000).execute(query) as rows:
                return _first_broken((tuple(row) for row in rows), tuple(head) if head else None)


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.seq, row.at, row.actor, row.action, row.subject, row.before, row.after)


def _first_broken(
    rows: Iterable[tuple[Any, ...]], head: tuple[Any, ...] | None
) -> BrokenRow | None:
    seq, digest = 0, START
    for *content, previous, claimed in rows:
        if content[0] != seq + 1:
            return BrokenRow(seq + 1, f"missing: row {content[0]} follows row {seq}")
        seq += 1
        if previous != digest:
            return BrokenRow(seq, "does not follow the row before it")
        digest = _digest(previous, content)
        if claimed != digest:
            return BrokenRow(seq, "was changed after it was written")
    if head is None:
        return BrokenRow(seq + 1, "the end of the chain is not recorded")
    if head != (seq, digest):
        return BrokenRow(seq + 1, f"missing: the chain was {head[0]} rows long")
    return None
