"""Four real workers of ``iphub serve``: what opens once opens once, what is revoked is revoked."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.hub import Hub
from connectors.ledger import ClientChanges
from connectors.ledger.public_keys import thumbprint
from connectors.settings import Settings
from ipregister.model import Right

WORKERS = 4
TRIALS = 100
START_SECONDS = 120
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Served:
    """A hub in this process and the server over the same home."""

    home: Path
    hub: Hub
    url: str
    key: ec.EllipticCurvePrivateKey
    client_id: str = ""
    signed: int = 0
    process: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        host, port = self.url.removeprefix("http://").split(":")
        command = [sys.executable, "-m", "iphub", "serve", "--home", str(self.home)]
        command += ["--host", host, "--port", port, "--workers", str(WORKERS)]
        # A group of its own: a kill hits every worker at the same moment.
        self.process = [
            subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        ]
        patience = time.monotonic() + START_SECONDS
        while time.monotonic() < patience:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self, with_signal: signal.Signals) -> None:
        """End the server and its workers."""
        for process in self.process:
            os.killpg(process.pid, with_signal)
            process.wait(30)
        self.process = []

    def new_client(self) -> str:
        """Add a client with the same key, whom nobody made wait yet."""
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        client, _ = self.hub.ledger.clients.add(
            name="a", third_party="Ann", public_jwk=jwk, at=datetime.now(UTC), by="test"
        )
        return client.clientId

    def assertion(self, client_id: str) -> dict[str, str]:
        """Return a form with an assertion never used before."""
        self.signed += 1
        claims = {"iss": client_id, "sub": client_id, "aud": self.url}
        claims |= {"exp": int(time.time()) + 600, "jti": f"j{self.signed}"}  # type: ignore[dict-item]
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": jwt.encode(claims, self.key, "ES256"),
        }

    def token(self, name: str) -> str:
        """Give out a token as the server would."""
        now = datetime.now(UTC)
        digest = sha256(name.encode()).digest()
        expires = now + timedelta(minutes=15)
        self.hub.ledger.tokens.issue(self.client_id, digest, expires, now)
        return name


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served") / "hub"
    hub, key = Hub.create(Settings(home=home)), ec.generate_private_key(ec.SECP256R1())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    world = Served(home, hub, url, key)
    world.client_id = world.new_client()
    try:
        world.start()
        yield world
    finally:
        world.kill(signal.SIGTERM)
        hub.close()


@contextmanager
def connections(count: int) -> Iterator[list[httpx.Client]]:
    """Open connections of their own, so that every worker gets some."""
    opened = [httpx.Client(timeout=60, verify=False) for _ in range(count)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


def together(count: int, send: Callable[[httpx.Client], int]) -> Counter[int]:
    """Send on many connections at once; return how often which status came."""
    with connections(count) as opened, ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(send, opened))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_an_assertion_sent_two_hundred_times_at_once_opens_once(served: Served) -> None:
    client_id, endpoint = served.new_client(), f"{served.url}/oauth2/token"
    form = served.assertion(client_id)
    statuses = together(200, lambda http: http.post(endpoint, data=form).status_code)
    assert statuses.pop(200) == 1
    assert statuses.keys() <= {401, 429}
    assert sum(statuses.values()) == 199


def test_a_proof_sent_many_times_at_once_opens_once(served: Served, oauth: Any) -> None:
    prover = oauth.Prover()
    now, name = datetime.now(UTC), "bound"
    digest = sha256(name.encode()).digest()
    expires = now + timedelta(minutes=10)
    served.hub.ledger.tokens.issue(
        served.client_id, digest, expires, now, key_thumbprint=thumbprint(prover.jwk)
    )
    clock = type("Clock", (), {"now": [now]})
    proof = prover.proof(clock, "/v1/me", token=name, htu=f"{served.url}/v1/me")
    headers = {"Authorization": f"DPoP {name}", "DPoP": proof}
    address = f"{served.url}/v1/me"
    statuses = together(60, lambda http: http.get(address, headers=headers).status_code)
    assert statuses == {200: 1, 401: 59}


def test_a_quota_is_one_for_all_workers(served: Served) -> None:
    quota, at = 30, datetime.now(UTC)
    limits = served.hub.ledger.clients.configure
    limits(served.client_id, ClientChanges(requestsPerMinute=quota), at=at, by="test")
    token, started = served.token("counted"), time.monotonic()
    address = f"{served.url}/v1/me"
    statuses = together(80, lambda http: http.get(address, headers=bearer(token)).status_code)
    refilled = (time.monotonic() - started) * quota / 60
    limits(served.client_id, ClientChanges(requestsPerMinute=0), at=at, by="test")
    assert quota - 1 <= statuses[200] <= quota + refilled + 1
    assert statuses.keys() == {200, 429}


def test_what_is_revoked_or_restricted_is_so_for_the_next_request_anywhere(
    served: Served,
) -> None:
    """A ledger change races with requests on connections to all workers."""
    ledger, stale = served.hub.ledger, []
    quota = ClientChanges(requestsPerMinute=1_000_000)
    ledger.clients.configure(served.client_id, quota, at=datetime.now(UTC), by="test")
    with connections(2 * WORKERS) as opened, ThreadPoolExecutor(2 * WORKERS) as pool:
        for trial in range(TRIALS):
            token, now = served.token(f"trial {trial}"), datetime.now(UTC)

            def offices(http: httpx.Client, token: str = token) -> tuple[int, int]:
                answer = http.get(f"{served.url}/v1/offices", headers=bearer(token))
                return answer.status_code, len(answer.json().get("items", ()))

            # Requests are under way while the decision is made; those sent after it obey it.
            opens: dict[Right, frozenset[Any]] = {Right.DESIGNS: frozenset()}
            ledger.authorizations.set("LA", "Ann", opens, None, now, "test")
            racing = [pool.submit(offices, http) for http in opened]
            if trial % 2:
                ledger.tokens.revoke(sha256(token.encode()).digest(), now)
                expected = (401, 0)
            else:
                ledger.authorizations.revoke("LA", "Ann", now, "test")
                expected = (200, 0)
            for before in racing:
                before.result()
            answers = list(pool.map(offices, opened))
            stale += [(trial, answer) for answer in answers if answer != expected]
    assert stale == []


def test_an_assertion_stays_used_after_every_worker_was_killed(served: Served) -> None:
    client_id, endpoint = served.new_client(), f"{served.url}/oauth2/token"
    form = served.assertion(client_id)
    first = httpx.post(endpoint, data=form, timeout=60)
    assert first.status_code == 200, first.text
    served.kill(signal.SIGKILL)
    served.start()
    assert httpx.post(endpoint, data=form, timeout=60).status_code == 401
    fresh = httpx.post(endpoint, data=served.assertion(client_id), timeout=60)
    assert fresh.status_code == 200, "the store of used assertions survived, and works"
