"""What a client proves itself with, looked up for every token it wants.

Nothing is remembered between two looks but the translation of rows that read exactly the
same: a key that is retired or a client that is revoked is so at once, for every process.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, or_, select

from connectors.ledger.client_records import Client, ClientKey
from connectors.ledger.prepared import Lane, Prepared, Row, processors
from connectors.ledger.schema import client_keys, client_secrets, clients
from ipregister.roles import Role

_PROFILE = (
    *("client_id", "name", "third_party", "office", "role", "das_compat", "added_at"),
    *("added_by", "revoked_at", "dpop_required", "strict_audience", "requests_per_minute"),
    "rows_per_minute",
)
_KEY = ("kid", "jwk", "added_at", "expires_at")

REMEMBERED = 1_024
"""Clients whose rows are translated; each is some kilobytes with its keys."""


class CredentialReader:
    """Looks clients up; safe to share between threads."""

    def __init__(self, lane: Lane) -> None:
        """Compile the statements; nothing is opened yet."""
        self._lane = lane
        c, k, s = clients.c, client_keys.c, client_secrets.c
        columns = (*(c[name] for name in _PROFILE), *(k[name] for name in _KEY))
        client = (
            select(*columns)
            .select_from(clients)
            .join(client_keys, k.client_id == c.client_id, isouter=True)
            .where(c.client_id == bindparam("client"))
            .order_by(k.added_at, k.kid)
        )
        live = or_(s.expires_at.is_(None), s.expires_at > bindparam("at"))
        secrets = select(s.secret_hash).where(s.client_id == bindparam("client"), live)
        self._client = Prepared(client, lane.dialect)
        self._secrets = Prepared(secrets, lane.dialect)
        self._process = processors(columns, lane.dialect)
        self._translated = lru_cache(maxsize=REMEMBERED)(self._translate)

    def client(self, client_id: str) -> Client | None:
        """Return a client, revoked or not, with its keys; not when it was last used."""
        rows = self._lane.rows(self._client, {"client": client_id})
        return self._translated(tuple(rows)) if rows else None

    def secret_hashes(self, client_id: str, at: Any) -> list[bytes]:
        """Return the hashes of the secrets that are good at an instant."""
        rows = self._lane.rows(self._secrets, {"client": client_id, "at": at})
        return [bytes(found) for (found,) in rows]

    def _translate(self, rows: tuple[Row, ...]) -> Client:
        read = [
            [process(value) for process, value in zip(self._process, row, strict=True)]
            for row in rows
        ]
        profile = dict(zip(_PROFILE, read[0], strict=False))
        keys = [ClientKey(*row[len(_PROFILE) :]) for row in read if row[-len(_KEY)] is not None]
        return Client(
            clientId=profile["client_id"],
            name=profile["name"],
            thirdParty=profile["third_party"],
            office=profile["office"],
            role=Role(profile["role"]),
            keys=tuple(keys),
            dasCompat=profile["das_compat"],
            addedAt=profile["added_at"],
            addedBy=profile["added_by"],
            revokedAt=profile["revoked_at"],
            dpopRequired=profile["dpop_required"],
            strictAudience=profile["strict_audience"],
            requestsPerMinute=profile["requests_per_minute"],
            rowsPerMinute=profile["rows_per_minute"],
        )
