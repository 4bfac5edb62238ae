"""What benchmarks of the API stand on: a hub of invented marks, a server, a connection to it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

from connectors.hub import Hub
from connectors.ledger import ClientChanges
from connectors.ledger.client_profiles import MAX_QUOTA
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow
from connectors.settings import Settings
from ipregister.identifiers import record_id, record_key
from ipregister.model import Right, load_tables

HOST = "127.0.0.1"
TOKEN = "benchmark-token"
UNLIMITED = ClientChanges(requestsPerMinute=MAX_QUOTA, rowsPerMinute=MAX_QUOTA)
"""Counted like everybody else, never refused."""


def rows(count: int, words: Random | None = None) -> Iterator[ServingRow]:
    """Yield invented trademarks of about 1.7 kB of JSON; with ``words`` goods that differ."""
    table = load_tables()[Right.TRADEMARKS]
    party = {
        "names": [{"text": "Invented Trading Company", "languageCode": "en"}],
        "countryCode": "VN",
    }
    party |= {"addressLines": ["12 Invented Street", "Ward 3", "Ha Noi"]}
    for number in range(count):
        application = f"VN/4/{2000 + number % 25}/{number:07d}"
        row: dict[str, object] = {
            "recordId": record_id(record_key("VN", Right.TRADEMARKS, application)),
            "officeCode": "VN",
            "right": "trademarks",
            "applicationNumber": application,
            "applicationDate": date(2000 + number % 25, 3, 1),
            "markVerbalElements": [{"text": f"MARK {number}", "languageCode": "vi"}],
            "goodsServices": [
                {"classNumber": 1 + (number + i) % 45, "descriptions": [{"text": _goods(words)}]}
                for i in range(3)
            ],
            "applicants": [party, party],
            "representatives": [party],
            "status": "registered",
            "statusEvents": [
                {"date": date(2020, 1, i + 1), "officeCode": f"E{i}"} for i in range(6)
            ],
        }
        yield ServingRow(str(row["recordId"]), number, application, render_fragments(table, row))


def _goods(words: Random | None) -> str:
    if words is None:
        return "goods " * 25
    return " ".join(f"{words.getrandbits(22):x}" for _ in range(22))


def prepare(home: Path, count: int, words: Random | None = None) -> tuple[list[str], list[str]]:
    """Fill a hub; return paths of point reads and of pages."""
    hub = Hub.create(Settings(home=home))
    now = datetime.now(UTC)
    client, _ = hub.ledger.clients.add(name="bench", third_party="Bench", at=now, by="bench")
    hub.ledger.clients.configure(client.clientId, UNLIMITED, at=now, by="bench")
    hub.ledger.authorizations.set("VN", "Bench", {Right.TRADEMARKS: ()}, None, now, "bench")
    expires = now + timedelta(minutes=15)
    hub.ledger.tokens.issue(client.clientId, sha256(TOKEN.encode()).digest(), expires, now)
    started, identifiers = time.perf_counter(), list[str]()

    def published() -> Iterator[ServingRow]:
        for row in rows(count, words):
            identifiers.append(row.recordId)
            yield row

    hub.serving.publish(Publication("bench", "VN", Right.TRADEMARKS, now, published()))
    print(f"render and publish {count / (time.perf_counter() - started):,.0f} records/s")
    hub.close()
    base = "/v1/offices/VN/trademarks/records"
    points = [f"{base}/{name}" for name in identifiers[:: max(1, count // 997)]]
    return points, [base]


@dataclass
class Server:
    """A running server, one connection to it, and what was measured."""

    port: int
    pid: int
    latencies: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def cpu_seconds(self) -> float:
        """Return user and system time of the process so far, in steps of the scheduler's ns."""
        # What clock_getcpuclockid(3) returns on Linux; /proc/PID/stat counts in steps of 10 ms.
        return time.clock_gettime(~self.pid << 3 | 2)


@contextmanager
def serving(factory: str, port: int, environment: dict[str, str]) -> Iterator[Server]:
    """Run a server with the options of ``iphub serve``; the limit has uvicorn's own protocol."""
    options = ["--factory", "--host", HOST, "--port", str(port), "--loop", "uvloop"]
    http = "httptools" if factory.endswith(":echo") else "iphub.guarded_http:GuardedHttp"
    options += ["--http", http, "--lifespan", "off", "--no-access-log", "--no-server-header"]
    command = [sys.executable, "-m", "uvicorn", factory, *options, "--log-level", "error"]
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.1)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


class Connection:
    """One keep-alive connection that speaks just enough HTTP."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str) -> bytes:
        """Return the body; anything but 200 ends the run."""
        self.ask(path)
        return self.answer(path)

    def ask(self, path: str) -> None:
        """Send a request."""
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        self._socket.sendall(request.encode())

    def answer(self, path: str) -> bytes:
        """Return the body of what was asked; anything but 200 ends the run."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._socket.recv(262_144)
        head, _, body = data.partition(b"\r\n\r\n")
        if b" 200 " not in head[:13]:
            raise SystemExit(f"{path}: {head[:40]!r} {body[:300]!r}")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        parts, size = [body], len(body)
        while size < length:
            parts.append(self._socket.recv(262_144))
            size += len(parts[-1])
        return b"".join(parts)
