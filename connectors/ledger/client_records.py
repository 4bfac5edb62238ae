"""Clients and third parties as values, and how they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from connectors.ledger.schema import client_keys, clients
from ipregister.errors import InvalidRequest
from ipregister.instants import instant
from ipregister.roles import Role


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """Someone offices may share data with."""

    name: str
    addedAt: datetime
    addedBy: str


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A registered public key; ``jwk`` has ``kid``, ``alg`` and the key, nothing else.

    Of one that ended at once it has no key: nothing verifies with it, whatever the clock says.
    """

    kid: str
    jwk: Mapping[str, str]
    addedAt: datetime
    expiresAt: datetime | None


@dataclass(frozen=True, slots=True)
class Client:
    """Credentials of one third party, one office, or the hub's own people. Never a secret.

    ``dasCompat`` accepts assertions as WIPO's DAS documents them, ``strictAudience`` only those
    for the issuer; with ``dpopRequired`` it gets no token that is not bound to a key. The quotas
    are the hub's where they are not given.
    """

    clientId: str
    name: str
    thirdParty: str | None
    office: str | None
    role: Role
    keys: tuple[ClientKey, ...]
    dasCompat: bool
    addedAt: datetime
    addedBy: str
    revokedAt: datetime | None
    dpopRequired: bool = False
    strictAudience: bool = False
    requestsPerMinute: int | None = None
    rowsPerMinute: int | None = None
    lastUsedAt: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Tell whether it may still be used."""
        return self.revokedAt is None

    def live_keys(self, at: datetime) -> tuple[ClientKey, ...]:
        """Return the keys that may sign at this instant."""
        return tuple(
            key
            for key in self.keys
            if "kty" in key.jwk and (key.expiresAt is None or at < key.expiresAt)
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "clientId": self.clientId,
            "name": self.name,
            "thirdParty": self.thirdParty,
            "office": self.office,
            "role": self.role,
            "keys": [
                {
                    "kid": key.kid,
                    "alg": key.jwk["alg"],
                    "expiresAt": instant(key.expiresAt) if key.expiresAt else None,
                }
                for key in self.keys
            ],
            "dasCompat": self.dasCompat,
            "strictAudience": self.strictAudience,
            "dpop": "required" if self.dpopRequired else "optional",
            "requestsPerMinute": self.requestsPerMinute,
            "rowsPerMinute": self.rowsPerMinute,
            "lastUsedAt": instant(self.lastUsedAt) if self.lastUsedAt else None,
            "addedAt": instant(self.addedAt),
            "addedBy": self.addedBy,
            "revokedAt": instant(self.revokedAt) if self.revokedAt else None,
        }


def one(connection: Connection, client_id: str) -> Client:
    """Return one client.

    Raises:
        InvalidRequest: there is none of this identifier.
    """
    found = find(connection, clients.c.client_id == client_id)
    if not found:
        raise InvalidRequest(f"there is no client {client_id}")
    return found[0]


def find(connection: Connection, *wanted: ColumnElement[bool]) -> list[Client]:
    """Return the clients that meet all conditions, by time of adding, with their keys."""
    c, k = clients.c, client_keys.c
    query = select(clients).where(*wanted).order_by(c.added_at, c.client_id)
    of_these = select(c.client_id).where(*wanted)
    keys: dict[str, list[ClientKey]] = {}
    for owner, *key in connection.execute(
        select(k.client_id, k.kid, k.jwk, k.added_at, k.expires_at)
        .where(k.client_id.in_(of_these))
        .order_by(k.added_at, k.kid)
    ):
        keys.setdefault(owner, []).append(ClientKey(*key))
    return [_client(row, tuple(keys.get(row.client_id, ()))) for row in connection.execute(query)]


def _client(row: Row[Any], keys: tuple[ClientKey, ...]) -> Client:
    return Client(
        clientId=row.client_id,
        name=row.name,
        thirdParty=row.third_party,
        office=row.office,
        role=Role(row.role),
        keys=keys,
        dasCompat=row.das_compat,
        addedAt=row.added_at,
        addedBy=row.added_by,
        revokedAt=row.revoked_at,
        dpopRequired=row.dpop_required,
        strictAudience=row.strict_audience,
        requestsPerMinute=row.requests_per_minute,
        rowsPerMinute=row.rows_per_minute,
        lastUsedAt=row.last_used_at,
    )
