"""A server that is killed in the middle of an upload: what arrived is there, the rest follows."""

import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.hub import Hub
from connectors.settings import Settings

SIZE, HALF = 4 << 20, 2 << 20
TOKEN = secrets.token_hex()


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(600):
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


class Killable:
    """``iphub serve`` over one home, which can be killed and started again."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.home = home
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "iphub", "serve", "--home", str(self.home)]
        self.process = subprocess.Popen([*command, "--port", str(self.port)])
        wait_for(self.answers)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"} | more.pop("headers", {})
        address = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, address, headers=headers, timeout=60, **more)


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killable]:
    home = tmp_path_factory.mktemp("killed") / "hub"
    hub, now = Hub.create(Settings(home=home)), datetime.now(UTC)
    client, _ = hub.ledger.clients.add(name="a", office="KH", at=now, by="test")
    expires = now + timedelta(minutes=15)
    hub.ledger.tokens.issue(client.clientId, hashlib.sha256(TOKEN.encode()).digest(), expires, now)
    hub.close()
    running = Killable(home)
    yield running
    running.process.kill()
    running.process.wait()


def begin(killable: Killable, target: str, length: int, half: bytes) -> socket.socket:
    """Send the head of a request and half of its body; leave the line open."""
    line = socket.create_connection(("127.0.0.1", killable.port))
    head = f"{target} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {TOKEN}\r\n"
    line.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + half)
    return line


def test_an_upload_goes_on_after_the_server_was_killed(killable: Killable) -> None:
    content = secrets.token_bytes(SIZE)
    digest = hashlib.sha256(content).hexdigest()
    told = {"name": "a.zip", "sha256": digest, "bytes": SIZE}
    file = killable.call("POST", "/v1/files/upload-urls", json=told).json()
    path = file["uploadUrl"].partition(str(killable.port))[2]
    landing = killable.home / "landing"
    with begin(killable, f"PUT {path}", SIZE, content[:HALF]):
        wait_for(lambda: sum(part.stat().st_size for part in landing.glob(".part-*")) == HALF)
        killable.kill()
    killable.start()
    again = killable.call("POST", "/v1/files/upload-urls", json=told).json()
    assert (again["fileId"], again["offset"]) == (file["fileId"], HALF)
    rest = {"Content-Range": f"bytes {HALF}-{SIZE - 1}/{SIZE}"}
    done = killable.call("PUT", again["uploadUrl"], content=content[HALF:], headers=rest)
    assert done.json()["state"] == "validated"
    assert (landing / digest[:2] / digest).read_bytes() == content


def test_a_push_that_was_killed_left_nothing_and_comes_again(killable: Killable) -> None:
    content = secrets.token_bytes(SIZE)
    push = "/v1/offices/KH/trademarks/packages?kind=update&name=a.zip"
    landing = killable.home / "landing"
    with begin(killable, f"POST {push}", SIZE, content[:HALF]):
        wait_for(lambda: sum(part.stat().st_size for part in landing.glob(".arriving-*")) == HALF)
        killable.kill()
    killable.start()
    assert killable.call("GET", "/v1/offices/KH/deliveries").json() == {"items": []}
    key = {"Idempotency-Key": "k", "Content-Type": "application/zip"}
    first = killable.call("POST", push, content=content, headers=key)
    again = killable.call("POST", push, content=content, headers=key)
    assert (first.status_code, again.content) == (202, first.content)
    assert len(killable.call("GET", "/v1/offices/KH/deliveries").json()["items"]) == 1
    hub = Hub.open(Settings(home=killable.home))
    hub.landing.sweep()
    hub.close()
    assert list(landing.glob(".arriving-*")) == []
