"""A hub where everything a route can be about exists; for tests of who may do what.

Loaded by ``conftest.py``. ``Attacked`` knows the described routes, fills their paths with
what is really there, and sends what each of them takes, as anybody of its cast.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from threading import Thread
from time import sleep
from typing import Any
from urllib.parse import quote

import httpx
import uvicorn
from fastapi.testclient import TestClient

from api.app import create_app
from connectors.exports.builder import drain
from connectors.exports.preparing import Exports
from connectors.exports.store import ExportStore
from connectors.networks import read_networks
from iphub.guarded_http import GuardedHttp
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from ipregister.roles import Role

CAST: dict[str, tuple[Role, str]] = {
    "granted": (Role.THIRD_PARTY, "Ann"),
    "stranger": (Role.THIRD_PARTY, "Cy"),
    "viewer": (Role.OFFICE_VIEWER, "KH"),
    "manager": (Role.OFFICE_DATA_MANAGER, "KH"),
    "authorizer": (Role.OFFICE_AUTHORIZER, "KH"),
    "elsewhere": (Role.OFFICE_DATA_MANAGER, "LA"),
    "decides elsewhere": (Role.OFFICE_AUTHORIZER, "LA"),
    "other party": (Role.THIRD_PARTY, "Bob"),
    "coordinator": (Role.COORDINATOR, ""),
    "operator": (Role.OPERATOR, ""),
}
"""Who asks: Cambodia shares trademarks with Ann, Laos shares them with Bob, nobody with Cy."""

OFFICES_OWN = ("viewer", "manager", "authorizer")
METHODS = ("get", "put", "post", "delete")

HOOK = "http://127.0.0.1:9/hook"
"""Inside, which this hub is told to allow; nobody listens there."""

LOOPBACK = read_networks("127.0.0.0/8")
FILE = b"what the office sends"
DECISION = {"rights": [{"right": "trademarks"}], "reason": "as agreed"}
BODIES: dict[str, Any] = {
    "/release": {"reason": "looked at"},
    "/withdraw": {"reason": "sent by mistake"},
    "/revert": {"reason": "the test system's export"},
    "/purge-approvals": {"right": "trademarks", "upTo": 12, "reason": "expired marks leave"},
    "/revoke": {"reason": "the agreement is over"},
    "/preview": DECISION,
    "/exports": {"office": "KH", "right": "trademarks", "format": "ndjson"},
    "/webhooks": {"url": HOOK},
    "/query": {},
}
"""What a route that ends so takes."""


QUERIES = {
    "record": "number={number}",
    "why": "number={number}",
    "lineage": "number={number}",
    "as-of": "at={at}",
    "changes": "from={at}&to={at}",
}
"""What a question about history needs."""


class AtOnce(Exports):
    """Prepares in this process what is asked for."""

    def start(self) -> None:
        """Prepare it now."""
        drain(self.serving, self.store, self.receipts)


@dataclass
class Attacked:
    """The hub; ``callers`` are those of ``callers.py``."""

    callers: Any
    ipas: Any
    hook: str = HOOK
    real: tuple[str, ...] = ("number", "at", "from", "to", "ticket")
    clients: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hub, now = self.callers.desk.hub, self.callers.desk.now
        exports = AtOnce(hub.serving.path, ExportStore(hub.home.exports), hub.home.receipts)
        self.service = replace(
            self.callers.service, exports=exports, keys=hub.signing_keys(), notify_inside=LOOPBACK
        )
        self.app = create_app(self.service)
        self.http = TestClient(self.app, base_url=self.service.public_url)
        self.ledger = hub.ledger
        for name, (role, owner) in CAST.items():
            third = role is Role.THIRD_PARTY
            made, _ = self.ledger.clients.add(
                name=name,
                role=role,
                third_party=owner if third else None,
                office=None if third else owner or None,
                at=now,
                by="test",
            )
            self.clients[name] = made.clientId
        self._fill()

    def _fill(self) -> None:
        desk, mark = self.callers.desk, self.ipas.mark
        many = [mark(f"KH/{number}/2019", status="Nonsense") for number in range(90000, 90060)]
        self.sent = desk.deliver(self.ipas.marks(*many), kind=Kind.FULL_EXTRACTION)
        self.confirming = desk.deliver(self.ipas.marks(many[1]))  # reverting it changes no record
        self.held = desk.deliver(self.ipas.marks(many[0]), kind=Kind.FULL_EXTRACTION)
        desk.deliver(self.ipas.marks(mark("LA/1/2019", office="LA")), office="LA")
        for name in CAST:
            self.tokens[name] = self.token(self.clients[name])
        self.share("KH", "Ann")
        self.share("LA", "Bob")
        self._spoil()
        page = self.ask("GET", "/v1/offices/KH/trademarks/records?limit=5", "granted")
        self.record = page.json()["items"][0]["recordId"]
        self.receipt = page.headers["x-request-id"]

    def share(self, office: str, third_party: str) -> None:
        """Share all of an office's trademarks."""
        rights: dict[Right, Any] = {Right.TRADEMARKS: frozenset()}
        self.ledger.authorizations.set(
            office, third_party, rights, None, self.callers.desk.now, "test"
        )

    def _announced_purge(self) -> str:
        """Announce a purge too small for any delivery here."""
        approval = self.ledger.purges.approve(
            "KH", Right.TRADEMARKS, up_to=1, at=self.callers.desk.now, by="test", reason="one mark"
        )
        return str(approval.approvalId)

    def token(self, client_id: str, *, minutes: int = 10) -> str:
        """Return a token that is over after so many minutes (of the hub's own clock)."""
        token, now = secrets.token_hex(), self.callers.desk.now
        expires = now + timedelta(minutes=minutes)
        self.ledger.tokens.issue(client_id, sha256(token.encode()).digest(), expires, now, None)
        return token

    def _spoil(self) -> None:
        """Make tokens that are no good any more: of each kind there is."""
        now, granted = self.callers.desk.now, self.clients["granted"]
        self.tokens["expired token"] = self.token(granted, minutes=0)
        self.tokens["revoked token"] = token = self.token(granted)
        self.ledger.tokens.revoke(sha256(token.encode()).digest(), now)
        for role, office in ((Role.OFFICE_DATA_MANAGER, "KH"), (Role.OPERATOR, None)):
            made, _ = self.ledger.clients.add(
                name="over", role=role, office=office, at=now, by="test"
            )
            self.tokens[f"revoked {role}"] = self.token(made.clientId)
            self.ledger.clients.revoke(made.clientId, at=now, by="test")
        self.tokens["made up token"] = secrets.token_hex()

    def described(self) -> dict[str, dict[str, Any]]:
        """Return every described route, as ``METHOD /path``, with its description."""
        return {
            f"{method.upper()} {path}": operation
            for path, methods in self.app.openapi()["paths"].items()
            for method, operation in methods.items()
            if method in METHODS
        }

    def path(self, template: str, *, office: str = "KH", missing: str = "") -> str:
        """Return the path of something that exists; ``missing`` names what shall not."""
        self._version()  # Cambodia shares with Ann, whatever was decided before
        values = {
            **{"office": office, "share": office, "right": "trademarks", "table": "trademarks"},
            **{"schema": "register", "thirdParty": "Ann", "requestId": self.receipt},
            "recordId": self.record,
            "deliveryId": self.sent.deliveryId,
            "jobId": self.sent.deliveryId,
        }
        if "/revert" in template:
            values["deliveryId"] = self.confirming.deliveryId
        if any(word in template for word in ("/release", "/withdraw", "/missing")):
            values["deliveryId"] = self._held()
        if "{webhookId}" in template:
            values["webhookId"] = self._webhook()
        if "{approvalId}" in template:
            values["approvalId"] = self._announced_purge()
        if "{fileId}" in template:
            values["fileId"], ticket = self._upload()
        if "{snapshotId}" in template:
            values["snapshotId"] = self._snapshot()
        if "{fileToken}" in template:
            values["fileToken"] = self._shared_file()
        if missing:
            values[missing] = {"office": "XX", "share": "XX"}.get(missing, "nothing-here")
        path = template.format(**{name: quote(text, safe="") for name, text in values.items()})
        if path.endswith("/content"):
            return f"{path}?ticket={ticket}"
        end = template.rpartition("/history/")[2]
        asked = QUERIES.get(end, "").format(number=self.record, at=self.sent.deliveryId)
        return f"{path}?{asked}" if asked else path

    def send(self, route: str, who: str | None, **changed: Any) -> httpx.Response:
        """Send what a route takes, about something that exists."""
        method, template = route.split()
        path = self.path(template, **changed)
        return self.ask(method, path, who, **self.body(method, template))

    def body(self, method: str, template: str) -> dict[str, Any]:
        """Return what a route takes, as arguments of a request."""
        if template.endswith("/packages"):
            params = {"kind": "test", "name": "a.xml"}
            return {"content": f"<a>{secrets.token_hex()}</a>", "params": params}
        if template.startswith("/oauth2/") and method == "POST":
            form = {"grant_type": "client_credentials", "token": "x", "client_id": "nobody"}
            return {"data": form | {"client_secret": "none"}}
        if template.endswith("/upload-urls"):
            return {"json": self._announced()}
        if method == "PUT" and template.endswith("/content"):
            return {"content": FILE, "headers": {"Content-Type": "application/octet-stream"}}
        end = "/" + template.rpartition("/")[2]
        if method == "PUT":
            return {"json": DECISION, "headers": {"If-Match": self._version()}}
        if method == "POST" and end in BODIES:
            match = {"headers": {"If-Match": self._version()}} if end == "/revoke" else {}
            return {"json": BODIES[end]} | match
        return {}

    def ask(
        self,
        method: str,
        path: str,
        who: str | None,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        """Send one request as one of the cast, or without any token."""
        mine = {} if who is None else {"Authorization": f"Bearer {self.tokens[who]}"}
        return self.http.request(method, path, headers=mine | (headers or {}), **more)

    def _version(self) -> str:
        found = self.ledger.authorizations.history("KH", "Ann")
        if not found[-1].grants:
            self.share("KH", "Ann")
            return f'"{found[-1].version + 1}"'
        return f'"{found[-1].version}"'

    def _held(self) -> str:
        """Return a delivery that waits for the office; another when that was taken back."""
        if self.ledger.deliveries.get(self.held.deliveryId).state is State.WITHDRAWN:
            few = self.ipas.marks(self.ipas.mark("KH/90001/2019"))
            self.held = self.callers.desk.deliver(few, kind=Kind.FULL_EXTRACTION)
            # The clock has moved on: tokens of before are over.
            self.tokens |= {name: self.token(client) for name, client in self.clients.items()}
        return str(self.held.deliveryId)

    def _webhook(self) -> str:
        """Return Ann's only webhook."""
        webhooks, client = self.ledger.webhooks, self.clients["granted"]
        now, (first, *more) = self.callers.desk.now, webhooks.list(client) or (None,)
        for one in more:  # there may be three of them
            webhooks.end(one.webhookId, at=now, by="test", because="enough")
        if first is not None:
            return str(first.webhookId)
        webhook, _ = webhooks.add(client, HOOK, at=now, by="test")
        return str(webhook.webhookId)

    def _announced(self) -> dict[str, Any]:
        return {"name": "a.xml", "sha256": sha256(FILE).hexdigest(), "bytes": len(FILE)}

    def _upload(self) -> tuple[str, str]:
        """Return a file the office's data manager announced, and its ticket."""
        made = self.ask("POST", "/v1/files/upload-urls", "manager", json=self._announced()).json()
        return made["fileId"], made["uploadUrl"].partition("ticket=")[2]

    def _snapshot(self) -> str:
        """Return a file prepared for Ann."""
        made = self.ask("POST", "/v1/exports", "granted", json=BODIES["/exports"])
        return str(made.json()["downloads"][0]["snapshotId"])

    def _shared_file(self) -> str:
        """Return the address of a file of Ann's."""
        path = "/delta-sharing/shares/KH/schemas/register/tables/trademarks/query"
        made = self.ask("POST", path, "granted", json={})
        return made.text.rpartition("/files/")[2].partition('"')[0]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on loopback as ``iphub serve`` does; yield its address."""
    config = uvicorn.Config(
        app, port=0, log_level="error", lifespan="off", http=GuardedHttp, proxy_headers=False
    )
    socket = config.bind_socket()
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([socket],))
    thread.start()
    try:
        while not server.started:
            sleep(0.01)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
