"""Access tokens and used assertions: short-lived, kept as hashes only.

Whoever reads the database finds nothing to present. How tokens are made and what a client
must prove to get one is the API's; what a token opens is ``access``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from connectors.ledger import audit
from connectors.ledger.columns import from_microseconds, microseconds
from connectors.ledger.engine import Database
from connectors.ledger.schema import assertions, clients, tokens
from ipregister.errors import ConfigurationError, InvalidClient

MAX_LIFETIME = timedelta(minutes=15)
"""A stolen bearer token is worth no more than this (RFC 9700)."""

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


class Tokens:
    """Issuing, revoking and forgetting."""

    def __init__(self, database: Database) -> None:
        """Keep tokens in ``database``."""
        self._database = database

    def issue(
        self,
        client_id: str,
        token_hash: bytes,
        expires_at: datetime,
        at: datetime,
        scope: str | None = None,
        key_thumbprint: str | None = None,
    ) -> None:
        """Remember a token by its SHA-256.

        Args:
            client_id: whose token.
            token_hash: its SHA-256.
            expires_at: when it dies.
            at: now.
            scope: what it may be used for, words of RFC 6749 scope; everything when not given.
            key_thumbprint: the key its sender must prove to hold (RFC 9449), if any.

        Raises:
            InvalidClient: the client does not exist or is revoked.
            ConfigurationError: the token would live longer than ``MAX_LIFETIME``.
        """
        if expires_at - at > MAX_LIFETIME:
            raise ConfigurationError(f"access tokens live at most {MAX_LIFETIME}")
        c = clients.c
        active = select(c.client_id).where(c.client_id == client_id, c.revoked_at.is_(None))
        row = {"token_hash": token_hash, "client_id": client_id, "issued_at": at, "scope": scope}
        row |= {"expires_at": microseconds(expires_at), "key_thumbprint": key_thumbprint}
        used = update(clients).where(c.client_id == client_id).values(last_used_at=at)
        with self._database.write() as connection:
            if connection.scalar(active) is None:
                raise InvalidClient(f"client {client_id} may not have tokens")
            connection.execute(insert(tokens), row)
            connection.execute(used)
            if token_hash[0] == CLEAN_AT:
                _forget(connection, at)
            after = {"expiresAt": expires_at.isoformat()}
            action = "token:issued"
            audit.append(
                connection, at=at, by=client_id, action=action, subject=client_id, after=after
            )

    def find(self, token_hash: bytes, at: datetime) -> Token | None:
        """Return a token that still opens something, for introspection (RFC 7662)."""
        t, c = tokens.c, clients.c
        query = (
            select(t.client_id, t.issued_at, t.expires_at, t.scope, t.key_thumbprint)
            .join(clients, c.client_id == t.client_id)
            .where(t.token_hash == token_hash, t.expires_at > microseconds(at))
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
        with self._database.write() as connection:
            return _forget(connection, at)

    def use_assertion(self, client_id: str, jti: str, expires_at: datetime) -> bool:
        """Use up an assertion; ``False`` means it was used before, by whatever process."""
        row = {
            "client_id": client_id,
            # Of one length, however long the sender made it.
            "jti_hash": sha256(jti.encode("utf-8", "backslashreplace")).digest(),
            "expires_at": microseconds(expires_at),
        }
        c = assertions.c.client_id
        with self._database.write() as connection:
            # The row itself is asked for: drivers do not agree on counting inserted rows.
            if connection.dialect.name == "postgresql":
                once = postgresql.insert(assertions).values(row).on_conflict_do_nothing()
                return connection.scalar(once.returning(c)) is not None
            other = sqlite.insert(assertions).values(row).on_conflict_do_nothing()
            return connection.scalar(other.returning(c)) is not None


def _forget(connection: Connection, at: datetime) -> int:
    expired = delete(tokens).where(tokens.c.expires_at <= microseconds(at))
    old = microseconds(at - KEEP_ASSERTIONS)
    used = delete(assertions).where(assertions.c.expires_at <= old)
    return connection.execute(expired).rowcount + connection.execute(used).rowcount
