"""A hub with one third party that has a secret and a key, and its own clock; for OAuth tests.

Loaded by ``conftest.py``. ``proof`` makes proofs of possession, right ones and wrong ones.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.testclient import TestClient

from api.app import create_app
from api.limits import Limits
from api.service import Service
from connectors.buckets import Buckets
from connectors.cursors import Cursors
from connectors.ledger import Ledger
from connectors.receipts.journal import Journal
from connectors.serving_store import ServingStore
from connectors.signing_keys import SigningKeys
from ipregister.model import Right

PUBLIC = "http://hub.test"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class World:
    """A hub with one third party that has a secret and a key, and its own clock."""

    service: Service
    http: TestClient
    client_id: str
    secret: str
    key_id: str
    key: ec.EllipticCurvePrivateKey
    now: list[datetime] = field(default_factory=list)

    def assertion(self, jti: str = "j1", **changed: Any) -> str:
        claims = {
            "iss": self.key_id,
            "sub": self.key_id,
            "aud": PUBLIC,
            "exp": int(self.now[0].timestamp()) + 60,
            "jti": jti,
        }
        return jwt.encode(claims | changed, self.key, algorithm="ES256")

    def signed(self, jti: str = "j1", **changed: Any) -> dict[str, str]:
        return {
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(jti, **changed),
        }

    def token(self, form: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        body = {"grant_type": "client_credentials"} | (form or {})
        return self.http.post("/oauth2/token", data=body, **more)

    def me(self, token: str) -> httpx.Response:
        return self.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


@contextmanager
def open_world(folder: Path, **settings: Any) -> Iterator[World]:
    """Make the hub; ``settings`` are of its service, but for the ``ledger_url``."""
    now = [datetime(2026, 5, 1, 12, tzinfo=UTC)]
    environment = settings.get("environment", "production")
    path = settings.pop("ledger_url", f"sqlite:///{folder}/ledger.sqlite")
    ledger = Ledger.open(path, pepper=b"p" * 32, environment=environment)
    serving = ServingStore(folder / "serving.sqlite")
    limits = Limits(
        Buckets(folder / "quotas", key=b"k" * 32, sets=8),
        Buckets(folder / "failures", key=b"k" * 32, sets=8),
        requests=1_000,
        rows=10_000,
    )
    service = Service(
        ledger,
        serving,
        Cursors(b"k" * 32),
        PUBLIC,
        lambda: now[0],
        keys=SigningKeys(folder / "signing"),
        receipts=Journal(folder / "receipts"),
        **{"limits": limits} | settings,
    )
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    client, secret = ledger.clients.add(name="one", third_party="Acme", at=now[0], by="test")
    signer, _ = ledger.clients.add(
        name="two", third_party="Acme", public_jwk=jwk, at=now[0], by="test"
    )
    rights: dict[Right, frozenset[Any]] = {Right.TRADEMARKS: frozenset()}
    ledger.authorizations.set("KH", "Acme", rights, None, now[0], "test")
    with TestClient(create_app(service)) as http:
        assert secret is not None
        yield World(service, http, client.clientId, secret, signer.clientId, key, now)
    serving.close()
    ledger.close()


@dataclass
class Prover:
    """Someone who holds a key and proves it; ``changed`` replaces claims, ``header`` members."""

    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    used: int = 0

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half."""
        return dict(json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key())))

    def proof(
        self,
        world: World,
        path: str,
        *,
        method: str = "GET",
        token: str | None = None,
        header: dict[str, Any] | None = None,
        **changed: Any,
    ) -> str:
        """Return a proof for one request."""
        self.used += 1
        claims: dict[str, Any] = {
            "jti": f"proof {id(self)} {self.used}",
            "htm": method,
            "htu": PUBLIC + path,
            "iat": int(world.now[0].timestamp()),
        }
        if token is not None:
            claims["ath"] = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
        claims = {name: value for name, value in (claims | changed).items() if value is not None}
        members = {"typ": "dpop+jwt", "jwk": self.jwk} | (header or {})
        return jwt.encode(claims, self.key, algorithm="ES256", headers=members)
