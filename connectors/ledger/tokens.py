"""Access tokens and used assertions: short-lived, kept as hashes only.

Whoever reads the database finds nothing to present. How tokens are made and what a client
must prove to get one is the API's; what a token opens is ``access``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import Delete, Dialect, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from connectors.ledger import audit
from connectors.ledger.columns import Count, from_microseconds, microseconds
from connectors.ledger.engine import Database
from connectors.ledger.prepared import Prepared
from connectors.ledger.schema import assertions, clients, tokens
from ipregister.errors import ConfigurationError, InvalidClient

MAX_LIFETIME = timedelta(minutes=15)
"""A stolen bearer token is worth no more than this (RFC 9700)."""

EXPIRY_AHEAD = MAX_LIFETIME + timedelta(minutes=5)
"""No token expires later from now, on whatever machine it was given: one that does was given by a
clock that was ahead, and would open for as long as that was."""

KEEP_TOKENS = timedelta(minutes=35)
"""Beyond expiry: a transfer that has begun goes on when its token expires, and the token is what
to revoke then."""

KEEP_ASSERTIONS = timedelta(minutes=10)
"""Beyond expiry: covers the clock skew we accept and a clock that is set back."""


CLEAN_AT = 0
"""First byte of the token hashes whose issue also forgets what has expired: one in 256."""


@dataclass(frozen=True, slots=True)
class Token:
    """A live access token, without the token."""

    clientId: str
    issuedAt: datetime
    expiresAt: datetime
    scope: str | None
    keyThumbprint: str | None


class Use(NamedTuple):
    """An assertion that is used up: what tells it from all others, how long to remember it."""

    jti: str
    expires_at: datetime


class Tokens:
    """Issuing, revoking and forgetting."""

    def __init__(self, database: Database) -> None:
        """Keep tokens in ``database``."""
        self._database = database
        self._statements = _Statements(database.writing.dialect)

    def issue(
        self,
        client_id: str,
        token_hash: bytes,
        expires_at: datetime,
        at: datetime,
        scope: str | None = None,
        key_thumbprint: str | None = None,
        assertion: Use | None = None,
    ) -> bool:
        """Remember a token by its SHA-256.

        Args:
            client_id: whose token.
            token_hash: its SHA-256.
            expires_at: when it dies.
            at: now.
            scope: what it may be used for, words of RFC 6749 scope; everything when not given.
            key_thumbprint: the key its sender must prove to hold (RFC 9449), if any.
            assertion: what the token is given for and is used up by it, together or not at all.

        Returns:
            Whether there is a token: there is none for an assertion that was used before.

        Raises:
            InvalidClient: the client does not exist or is revoked.
            ConfigurationError: the token would live longer than ``MAX_LIFETIME``.
        """
        if expires_at - at > MAX_LIFETIME:
            raise ConfigurationError(f"access tokens live at most {MAX_LIFETIME}")
        row = {"token_hash": token_hash, "client_id": client_id, "issued_at": at, "scope": scope}
        row |= {"expires_at": microseconds(expires_at), "key_thumbprint": key_thumbprint}
        run = self._statements
        with self._database.writing.write() as connection:
            if assertion is not None and not run.spend(connection, client_id, assertion):
                return False
            if (
                run.used.run(connection, {"whose": client_id, "last_used_at": at}).fetchone()
                is None
            ):
                raise InvalidClient(f"client {client_id} may not have tokens")
            run.insert.run(connection, row)
            if token_hash[0] == CLEAN_AT:
                run.forget(connection, at)
            after = {"expiresAt": expires_at.isoformat()}
            action = "token:issued"
            run.audit.append(
                connection, at=at, by=client_id, action=action, subject=client_id, after=after
            )
        return True

    def find(self, token_hash: bytes, at: datetime) -> Token | None:
        """Return a token that still opens something, for introspection (RFC 7662)."""
        t, c = tokens.c, clients.c
        query = (
            select(t.client_id, t.issued_at, t.expires_at, t.scope, t.key_thumbprint)
            .join(clients, c.client_id == t.client_id)
            .where(t.token_hash == token_hash, t.expires_at > microseconds(at))
            .where(t.expires_at <= microseconds(at + EXPIRY_AHEAD))
            .where(c.revoked_at.is_(None))
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        expires = from_microseconds(row.expires_at)
        return Token(row.client_id, row.issued_at, expires, row.scope, row.key_thumbprint)

    def revoke(self, token_hash: bytes, at: datetime, client_id: str | None = None) -> bool:
        """Forget a token; with ``client_id`` only its own (RFC 7009). ``False``: not there."""
        c = tokens.c
        statement = delete(tokens).where(c.token_hash == token_hash).returning(c.client_id)
        if client_id is not None:
            statement = statement.where(c.client_id == client_id)
        with self._database.write() as connection:
            owner = connection.scalar(statement)
            if owner is None:
                return False
            by = client_id or owner
            audit.append(connection, at=at, by=by, action="token:revoked", subject=owner)
        return True

    def purge(self, at: datetime) -> int:
        """Forget what has expired; return how many rows went."""
        pairs = list(zip(_expired(), _limits(at), strict=True))
        with self._database.write() as connection:
            return sum(connection.execute(one, limits).rowcount for one, limits in pairs)

    def use_assertion(self, client_id: str, jti: str, expires_at: datetime) -> bool:
        """Use up an assertion; ``False`` means it was used before, by whatever process."""
        with self._database.writing.write() as connection:
            return self._statements.spend(connection, client_id, Use(jti, expires_at))


class _Statements:
    """What is run for every token, prepared."""

    def __init__(self, dialect: Dialect) -> None:
        insert_once = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
        # The row itself is asked for: drivers do not agree on counting inserted rows.
        once = insert_once(assertions).on_conflict_do_nothing().returning(assertions.c.client_id)
        c = clients.c
        used = update(clients).where(c.client_id == bindparam("whose"), c.revoked_at.is_(None))
        self._once = Prepared(once, dialect, columns=tuple(assertions.c.keys()))
        self.used = Prepared(used.returning(c.client_id), dialect, columns=("last_used_at",))
        self.insert = Prepared(insert(tokens), dialect, columns=tuple(tokens.c.keys()))
        self.audit = audit.Appender(dialect)
        self._expired = [Prepared(statement, dialect) for statement in _expired()]

    def spend(self, connection: Any, client_id: str, assertion: Use) -> bool:
        row = {
            "client_id": client_id,
            # Of one length, however long the sender made it.
            "jti_hash": sha256(assertion.jti.encode("utf-8", "backslashreplace")).digest(),
            "expires_at": microseconds(assertion.expires_at),
        }
        return self._once.run(connection, row).fetchone() is not None

    def forget(self, connection: Any, at: datetime) -> None:
        for statement, limits in zip(self._expired, _limits(at), strict=True):
            statement.run(connection, limits)


def _expired() -> tuple[Delete, Delete]:
    """Return the statements that forget tokens and assertions beyond their limits."""
    limit, latest = (bindparam(name, type_=Count) for name in ("limit", "latest"))
    expires = tokens.c.expires_at
    return (
        delete(tokens).where(or_(expires <= limit, expires > latest)),
        delete(assertions).where(assertions.c.expires_at <= limit),
    )


def _limits(at: datetime) -> tuple[dict[str, int], dict[str, int]]:
    of_tokens = {"limit": microseconds(at - KEEP_TOKENS), "latest": microseconds(at + EXPIRY_AHEAD)}
    return of_tokens, {"limit": microseconds(at - KEEP_ASSERTIONS)}
