"""What a client proves itself with, written down: public keys, hashes of secrets, no secret.

Looking them up for every token is ``credentials``; who may change them is ``clients``.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert

from connectors.home import PEPPER_BYTES
from connectors.ledger.schema import client_keys, client_secrets, tokens
from ipregister.errors import ConfigurationError

SECRET_BYTES = 32


def read_key(public_jwk: Mapping[str, Any] | str) -> dict[str, str]:
    """Return a public key (JWK, or PEM as text) as the JWK that is kept.

    Raises:
        InvalidRequest: it is not acceptable; the message says why.
    """
    # Loaded by who registers a key: cryptography takes as long as opening a ledger.
    from connectors.ledger.public_keys import read_public_key

    return read_public_key(public_jwk)


def insert_key(
    connection: Connection, client_id: str, key: Mapping[str, str], at: datetime
) -> None:
    """Register a key that ``read_key`` returned."""
    row = {"client_id": client_id, "kid": key["kid"], "jwk": key, "added_at": at}
    connection.execute(insert(client_keys), row)


def insert_secret(
    connection: Connection, client_id: str, at: datetime, *, pepper: bytes | None
) -> str:
    """Return a new secret of a client; only its hash is kept."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    hashed = secret_hash(client_id, secret, pepper=pepper)
    row = {"secret_hash": hashed, "client_id": client_id, "added_at": at}
    connection.execute(insert(client_secrets), row)
    return secret


def secret_hash(client_id: str, secret: str, *, pepper: bytes | None) -> bytes:
    """Return the 32 bytes that are kept of a secret: its HMAC under the hub's pepper.

    Raises:
        ConfigurationError: the hub has no pepper, or a short one.
    """
    if pepper is None or len(pepper) < PEPPER_BYTES:
        raise ConfigurationError(f"client secrets need the hub's pepper of {PEPPER_BYTES} bytes")
    message = f"client-secret\n{client_id}\n{secret}".encode("utf-8", "backslashreplace")
    return hmac.digest(pepper, message, "sha256")


def drop_tokens(connection: Connection, client_id: str, *, only_unbound: bool = False) -> None:
    """Forget a client's tokens; those bound to a key may stay."""
    mine = delete(tokens).where(tokens.c.client_id == client_id)
    if only_unbound:
        mine = mine.where(tokens.c.key_thumbprint.is_(None))
    connection.execute(mine)
