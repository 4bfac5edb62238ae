"""Point read and page of 100 against a bare FastAPI echo, alternating in one run.

    .venv/bin/python benchmarks/api.py [--records 20000] [--requests 2000] [--rounds 5]

Both servers are uvicorn with the options of ``iphub serve``, one worker, on loopback; the
client is one keep-alive socket. The hub runs with authentication, grants and fragments as in
production. Printed are the median latency, the server's CPU per request (user and system, from
``/proc``) and the ratio to the echo; limits are those of the specification.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

from fastapi import FastAPI
from starlette.responses import Response

from connectors.hub import Hub
from connectors.ledger import ClientChanges
from connectors.ledger.client_profiles import MAX_QUOTA
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow
from connectors.settings import Settings
from ipregister.identifiers import record_id, record_key
from ipregister.model import Right, load_tables

HOST = "127.0.0.1"
POINT_LIMIT, PAGE_LIMIT_MS = 1.8, 0.9
TOKEN = "benchmark-token"
PAGES = 50
UNLIMITED = ClientChanges(requestsPerMinute=MAX_QUOTA, rowsPerMinute=MAX_QUOTA)
"""Counted like everybody else, never refused."""
ECHO = b'{"echo":"' + b"x" * 1_700 + b'"}'


def echo() -> FastAPI:
    """Return the limit: FastAPI handing out a record's worth of ready bytes."""
    app = FastAPI()

    @app.get("/echo")
    async def answer() -> Response:
        return Response(ECHO, media_type="application/json")

    return app


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
        """Return user and system time of the process so far."""
        parts = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(factory: str, port: int, environment: dict[str, str]) -> Iterator[Server]:
    """Run a server with the options of ``iphub serve``; the limit has uvicorn's own protocol."""
    options = ["--factory", "--host", HOST, "--port", str(port), "--loop", "uvloop"]
    http = "iphub.guarded_http:GuardedHttp" if factory.startswith("iphub.") else "httptools"
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
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        self._socket.sendall(request.encode())
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


def measure(server: Server, paths: list[str], requests: int) -> bytes:
    """Send requests one after the other; add to what the server has measured."""
    connection = Connection(server.port)
    body = b""
    for path in paths[:20]:
        connection.get(path)
    before = server.cpu_seconds()
    for number in range(requests):
        path = paths[number % len(paths)]
        started = time.perf_counter()
        body = connection.get(path)
        server.latencies.append(time.perf_counter() - started)
    server.cpu += server.cpu_seconds() - before
    return body


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "hub"
        points, pages = prepare(home, asked.records)
        root = str(Path(__file__).parents[1])
        hub_environment = {"IPHUB_HOME": str(home), "PYTHONPATH": root}
        with (
            serving("benchmarks.api:echo", 18_801, {"PYTHONPATH": root}) as limit,
            serving("iphub.serve:application", 18_802, hub_environment) as hub,
        ):
            pages += walk(hub, pages[0])
            subjects = {
                "echo": (limit, ["/echo"], asked.requests),
                "point": (hub, points, asked.requests),
                "page": (hub, pages, asked.requests // 10),
            }
            report(subjects, asked.rounds)


def walk(hub: Server, first: str) -> list[str]:
    """Return the addresses of the pages after ``first``."""
    connection, found, path = Connection(hub.port), list[str](), first
    while len(found) < PAGES:
        _, mark, cursor = connection.get(path).rpartition(b'"nextCursor":"')
        if not mark:
            break
        path = f"{first}?cursor={cursor.decode().split(chr(34))[0]}"
        found.append(path)
    return found


def report(subjects: dict[str, tuple[Server, list[str], int]], rounds: int) -> None:
    """Measure all subjects in turn, ``rounds`` times, and print medians."""
    p50: dict[str, list[float]] = {name: [] for name in subjects}
    cpu: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, (server, paths, requests) in subjects.items():
            server.latencies, server.cpu = [], 0.0
            measure(server, paths, requests)
            p50[name].append(statistics.median(server.latencies) * 1_000)
            cpu[name].append(server.cpu / requests * 1_000)
    for name in subjects:
        latency, used = statistics.median(p50[name]), statistics.median(cpu[name])
        print(f"{name:6} p50 {latency:.3f} ms   CPU {used:.3f} ms per request")
    ratio = statistics.median(p / e for p, e in zip(p50["point"], p50["echo"], strict=True))
    print(f"point read is {ratio:.2f} x the echo (limit {POINT_LIMIT})")
    print(f"page of 100 takes {statistics.median(cpu['page']):.2f} ms CPU (limit {PAGE_LIMIT_MS})")


if __name__ == "__main__":
    main()
