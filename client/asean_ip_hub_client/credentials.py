"""How a client proves who it is at the token endpoint: a secret, or a signed assertion.

Standards: RFC 6749 §2.3.1 (client_secret_basic), RFC 7523 (private_key_jwt).
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from asean_ip_hub_client.errors import HubError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Proof:
    """What a token request carries beyond its grant: form members, or HTTP Basic."""

    form: Mapping[str, str] = field(default_factory=dict)
    basic: tuple[str, str] | None = None


class Credentials(Protocol):
    """Anything that can prove who a client is."""

    def prove(self, issuer: str) -> Proof:
        """Return a fresh proof for the hub at ``issuer``, its base URL."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The client's identifier and its secret."""

    client_id: str
    secret: str = field(repr=False)

    def prove(self, issuer: str) -> Proof:
        """Return HTTP Basic."""
        del issuer
        return Proof(basic=(self.client_id, self.secret))


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The client's identifier and the private key whose public half the hub knows.

    Args:
        client_id: as the hub gave it.
        pem: the private key, PEM text.
        algorithm: ``ES256`` for P-256, ``PS256`` for RSA, ``EdDSA`` for Ed25519.
        key_id: ``kid`` of the registered key; needed only when the client has several.
    """

    client_id: str
    pem: str = field(repr=False)
    algorithm: str = "ES256"
    key_id: str | None = None

    def prove(self, issuer: str) -> Proof:
        """Return a signed assertion that lives for a minute and is used once.

        Raises:
            HubError: PyJWT is not installed, or the key does not fit the algorithm.
        """
        try:
            jwt: Any = import_module("jwt")
        except ImportError as exc:
            raise HubError("pip install 'pyjwt[crypto]' to sign in with a key") from exc
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        headers = {"kid": self.key_id} if self.key_id else None
        try:
            signed = jwt.encode(claims, self.pem, algorithm=self.algorithm, headers=headers)
        except (jwt.exceptions.PyJWTError, ValueError, TypeError) as exc:
            raise HubError(f"the key cannot sign with {self.algorithm}: {exc}") from exc
        return Proof(form={"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed})
