"""Clients: the credentials with which third parties and offices call the API.

A client belongs to one third party or one office, or has a role of the hub as a whole, and
proves itself by registered public keys or by a secret. Of a secret only an HMAC under the
hub's pepper is kept, so neither the database nor a backup of it can be used to log in. Two
may live side by side while a client changes over.
"""

import builtins
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from connectors.ledger import audit
from connectors.ledger.client_credentials import (
    drop_tokens,
    insert_key,
    insert_secret,
    read_key,
    secret_hash,
)
from connectors.ledger.client_profiles import ClientChanges, apply
from connectors.ledger.client_records import Client, ClientKey, ThirdParty, find, one
from connectors.ledger.credentials import CredentialReader
from connectors.ledger.engine import Database
from connectors.ledger.schema import client_keys, client_secrets, clients, third_parties
from connectors.ledger.third_parties import clean_name, ensure_third_party, third_party_name
from ipregister.authorizations import check_office
from ipregister.errors import InvalidRequest
from ipregister.roles import Role, check_role

_NOBODY = b"\0" * 32


class Clients:
    """Adding, checking and revoking clients."""

    def __init__(self, database: Database, pepper: bytes | None) -> None:
        """Keep clients in ``database``, secrets under ``pepper``."""
        self._database = database
        self._pepper = pepper
        self._credentials = CredentialReader(database.reading)

    def add(
        self,
        *,
        name: str,
        at: datetime,
        by: str,
        third_party: str | None = None,
        office: str | None = None,
        role: Role | None = None,
        public_jwk: Mapping[str, Any] | str | None = None,
        das_compat: bool = False,
    ) -> tuple[Client, str | None]:
        """Add a client of a third party, which is added with its first one, or any other.

        Args:
            name: what people call this client.
            at: instant.
            by: who adds it.
            third_party: name of its third party, or
            office: ST.3 code of its office.
            role: what it may do; a data manager of its office when not given. Coordinators and
                operators have neither third party nor office.
            public_jwk: its public key (JWK, or PEM as text); without one it gets a secret.
            das_compat: accept assertions as WIPO's DAS documents them.

        Returns:
            The client and, when it has no key, its secret: this is the only time it is shown.

        Raises:
            InvalidRequest: a name, office or key that is not acceptable; the message says why.
        """
        role = check_role(role, third_party=third_party, office=office)
        key = read_key(public_jwk) if public_jwk is not None else None
        label = clean_name(name)
        client_id = f"{_prefix(role, office)}-{secrets.token_hex(8)}"
        with self._database.write() as connection:
            owner = (
                None
                if third_party is None
                else ensure_third_party(connection, third_party, at=at, by=by)
            )
            row = {
                "client_id": client_id,
                "name": label,
                "third_party": owner,
                "office": office,
                "role": role,
                "das_compat": das_compat,
                "added_at": at,
                "added_by": by,
            }
            connection.execute(insert(clients), row)
            secret = None
            if key is not None:
                insert_key(connection, client_id, key, at)
            else:
                secret = insert_secret(connection, client_id, at, pepper=self._pepper)
            after = {
                "name": label,
                "thirdParty": owner,
                "office": office,
                "role": role,
                "dasCompat": das_compat,
                "keys": [key["kid"]] if key else [],
                "secret": secret is not None,
            }
            _audit(connection, "added", client_id, at=at, by=by, after=after)
            return one(connection, client_id), secret

    def by_id(self, client_id: str) -> Client | None:
        """Return a client, revoked or not, with its keys."""
        with self._database.read() as connection:
            return next(iter(find(connection, clients.c.client_id == client_id)), None)

    def to_authenticate(self, client_id: str) -> Client | None:
        """Return a client, revoked or not, with its keys, but not when it was last used."""
        return self._credentials.client(client_id)

    def list(
        self, third_party: str | None = None, office: str | None = None
    ) -> builtins.list[Client]:
        """Return clients by time of adding."""
        c = clients.c
        with self._database.read() as connection:
            wanted = []
            if third_party is not None:
                wanted.append(c.third_party == third_party_name(connection, third_party))
            if office is not None:
                wanted.append(c.office == office)
            return find(connection, *wanted)

    def third_parties(self) -> builtins.list[ThirdParty]:
        """Return the third parties by name."""
        c = third_parties.c
        with self._database.read() as connection:
            rows = connection.execute(select(c.name, c.added_at, c.added_by).order_by(c.folded))
            return [ThirdParty(*row) for row in rows]

    def with_secret(self, at: datetime) -> set[str]:
        """Return the identifiers of the clients that have a live secret, beside keys or not."""
        c = client_secrets.c
        live = or_(c.expires_at.is_(None), c.expires_at > at)
        with self._database.read() as connection:
            return set(connection.scalars(select(c.client_id).where(live)))

    def verify_secret(self, client_id: str, secret: str, at: datetime) -> Client | None:
        """Return the client whose live secret this is; the time taken tells nothing.

        An unknown client costs the same query and the same comparison as a wrong secret.
        """
        given = secret_hash(client_id, secret, pepper=self._pepper)
        known = self._credentials.secret_hashes(client_id, at) or [_NOBODY]
        # Every hash is compared: stopping at the first match would tell which one it was.
        matches = [hmac.compare_digest(given, candidate) for candidate in known]
        client = self._credentials.client(client_id)
        return client if any(matches) and client is not None and client.is_active else None

    def rotate_secret(
        self, client_id: str, *, at: datetime, by: str, keep: timedelta = timedelta(0)
    ) -> str:
        """Return a new secret; the present one dies after ``keep``.

        One that dies at once may have leaked: the tokens it was given are worth nothing either,
        and it is forgotten, so that no clock that was ahead and is set back brings it back.

        Raises:
            InvalidRequest: there is no such active client.
        """
        c = client_secrets.c
        with self._database.write() as connection:
            _active(connection, client_id)
            if keep <= timedelta(0):
                connection.execute(delete(client_secrets).where(c.client_id == client_id))
                drop_tokens(connection, client_id)
            else:
                live = or_(c.expires_at.is_(None), c.expires_at > at + keep)
                old = update(client_secrets).where(c.client_id == client_id, live)
                connection.execute(old.values(expires_at=at + keep))
            secret = insert_secret(connection, client_id, at, pepper=self._pepper)
            after = {"keptSeconds": int(keep.total_seconds())}
            _audit(connection, "secret_rotated", client_id, at=at, by=by, after=after)
        return secret

    def add_key(
        self, client_id: str, public_jwk: Mapping[str, Any] | str, *, at: datetime, by: str
    ) -> ClientKey:
        """Register one more public key, beside those the client has.

        Raises:
            InvalidRequest: the key is not acceptable or its ``kid`` is taken, or there is no
                such active client.
        """
        key = read_key(public_jwk)
        with self._database.write() as connection:
            client = _active(connection, client_id)
            for known in client.keys:
                if key["kid"] == known.kid:
                    raise InvalidRequest(
                        f"this client already has a key with the kid {known.kid!r}"
                    )
                if key == {**known.jwk, "kid": key["kid"]}:  # retired, it would sign by this one
                    raise InvalidRequest(
                        f"this client already has this key: its kid is {known.kid!r}"
                    )
            insert_key(connection, client_id, key, at)
            _audit(connection, "key_added", client_id, at=at, by=by, after={"kid": key["kid"]})
        return ClientKey(key["kid"], key, at, None)

    def retire_key(
        self, client_id: str, kid: str, *, at: datetime, by: str, until: datetime | None = None
    ) -> None:
        """Accept a key no longer than ``until``; from ``at`` on not at all when not given.

        One that ends sooner does so all the same. The client's tokens end with a key that ends
        at once, as with a secret, and of the key nothing is kept that could verify a signature.

        Raises:
            InvalidRequest: the client has no such key.
        """
        c = client_keys.c
        end = until or at
        mine = and_(c.client_id == client_id, c.kid == kid)
        with self._database.write() as connection:
            found = connection.execute(select(c.expires_at, c.jwk).where(mine)).one_or_none()
            if found is None:
                raise InvalidRequest(f"client {client_id} has no key {kid!r}")
            end = min(end, found.expires_at or end)
            connection.execute(update(client_keys).where(mine).values(expires_at=end))
            if end <= at:
                ended = {"kid": kid, "alg": found.jwk["alg"]}
                connection.execute(update(client_keys).where(mine).values(jwk=ended))
                drop_tokens(connection, client_id)
            after = {"kid": kid, "until": end.isoformat()}
            _audit(connection, "key_retired", client_id, at=at, by=by, after=after)

    def configure(self, client_id: str, changes: ClientChanges, *, at: datetime, by: str) -> Client:
        """Change a client's profile, from its next request on.

        Raises:
            InvalidRequest: there is no such active client, or the settings make no sense.
        """
        with self._database.write() as connection:
            before, after = apply(connection, _active(connection, client_id), changes)
            if after.get("dpopRequired"):
                drop_tokens(connection, client_id, only_unbound=True)
            if after:
                states = {"before": before, "after": after}
                _audit(connection, "configured", client_id, at=at, by=by, **states)
            return one(connection, client_id)

    def revoke(self, client_id: str, *, at: datetime, by: str) -> Client:
        """Refuse a client and its tokens from the next request on; again is a no-op.

        Raises:
            InvalidRequest: there is no such client.
        """
        c = clients.c
        with self._database.write() as connection:
            mine = update(clients).where(c.client_id == client_id, c.revoked_at.is_(None))
            if connection.execute(mine.values(revoked_at=at)).rowcount:
                _audit(connection, "revoked", client_id, at=at, by=by)
            return one(connection, client_id)


def _prefix(role: Role, office: str | None) -> str:
    """Return how a client's identifier begins: people tell from it whose it is."""
    if office is not None:
        return f"office-{check_office(office).lower()}"
    return "tp" if role is Role.THIRD_PARTY else str(role)


def _active(connection: Connection, client_id: str) -> Client:
    client = one(connection, client_id)
    if not client.is_active:
        raise InvalidRequest(f"client {client_id} is revoked; add a new one")
    return client


def _audit(
    connection: Connection,
    what: str,
    client_id: str,
    *,
    at: datetime,
    by: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    action = f"client:{what}"
    audit.append(
        connection, at=at, by=by, action=action, subject=client_id, before=before, after=after
    )
