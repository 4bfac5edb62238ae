"""Clients of every role at a desk's hub, calling its API in process; loaded by ``conftest.py``."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
from fastapi.testclient import TestClient

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.receipts.journal import Journal
from ipregister.roles import OFFICE_ROLES, Role

PUBLIC = "http://hub.example"


@dataclass
class Callers:
    """One API over the desk's hub; the clock is the desk's."""

    desk: Any
    _clients: dict[tuple[Role, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hub = self.desk.hub
        cursors = Cursors(hub.home.pepper())
        self.service = Service(
            *(hub.ledger, hub.serving, cursors, PUBLIC, lambda: self.desk.now),
            hub=hub,
            receipts=Journal(hub.home.receipts),
        )
        self.http = TestClient(create_app(self.service), base_url=PUBLIC)

    def client(self, role: Role, office: str = "KH") -> str:
        """Return the identifier of a client of this role, made when first asked for."""
        if (role, office) not in self._clients:
            made, _ = self.desk.hub.ledger.clients.add(
                name="a",
                role=role,
                third_party="Ann" if role is Role.THIRD_PARTY else None,
                office=office if role in OFFICE_ROLES else None,
                at=self.desk.now,
                by="test",
            )
            self._clients[role, office] = made.clientId
        return self._clients[role, office]

    def token(self, client_id: str, scope: str | None = None) -> str:
        """Return a fresh token of a client."""
        token, now = secrets.token_hex(), self.desk.now
        hashed = sha256(token.encode()).digest()
        expires = now + timedelta(minutes=10)
        self.desk.hub.ledger.tokens.issue(client_id, hashed, expires, now, scope)
        return token

    def call(
        self,
        method: str,
        path: str,
        role: Role = Role.OFFICE_DATA_MANAGER,
        office: str = "KH",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Send one request as a client of this role; ``path`` may be a whole address."""
        token = self.token(self.client(role, office))
        mine = {"Authorization": f"Bearer {token}", "X-Request-Id": "the-same-one"}
        return self.http.request(method, path, headers=mine | (headers or {}), **more)

    def get(self, path: str, role: Role = Role.OFFICE_DATA_MANAGER, **more: Any) -> httpx.Response:
        """Read."""
        return self.call("GET", path, role, **more)

    def post(self, path: str, role: Role = Role.OFFICE_DATA_MANAGER, **more: Any) -> httpx.Response:
        """Send."""
        return self.call("POST", path, role, **more)
