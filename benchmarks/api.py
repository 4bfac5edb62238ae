"""Reading through the API against a bare FastAPI echo, alternating in one run.

    .venv/bin/python -m benchmarks.api [--records 20000] [--requests 200] [--rounds 40]

Both servers are uvicorn with the options of ``iphub serve``, one worker, on loopback. The hub is
the application of ``iphub serve``: authentication, grants, fragments, receipts, limits. Latency
is that of one keep-alive connection; throughput that of eight, each with one request on its way,
so that the worker never waits. Subjects alternate, in many short rounds rather than few long
ones, because what else the machine does changes; medians of all rounds are printed: latency,
the server's CPU per request (user and system, by its own clock), requests per second, and ratios
within a round; limits are those of the specification.

What authentication costs is measured on a second hub process that differs in one thing: the
token is looked up once, at its start. What a new mask costs is the CPU time to make the views
of a row rule and of a grant without free text; withheld classes alone need nothing made.
``--records`` at 100000 and 1000000 shows whether cost grows with the register.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api import redistribution
from api.app import create_app
from api.limits import admit
from api.service import Service
from benchmarks.served import HOST, TOKEN, Connection, Server, prepare, serving
from connectors.hub import Hub
from connectors.ledger import Access
from connectors.settings import Settings
from iphub.serve import service
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

POINT_LIMIT, PAGE_LIMIT_MS = 1.8, 0.9
THROUGHPUT_LIMIT, CHANGES_LIMIT_MS, AUTH_LIMIT = 0.6, 4.0, 0.1
MASK_RECORDS, MASK_LIMIT_SECONDS = 200_000, 5
CONNECTIONS = 8
SINCE = date(2010, 1, 1)
PAGES = 50
ECHO = b'{"echo":"' + b"x" * 1_700 + b'"}'


def echo() -> FastAPI:
    """Return the limit: FastAPI handing out a record's worth of ready bytes."""
    app = FastAPI()

    @app.get("/echo")
    async def answer() -> Response:
        return Response(ECHO, media_type="application/json")

    return app


def without_look_up() -> FastAPI:
    """Return the hub as it is served, but for the token: it is looked up once."""
    settings = Settings()
    made = service(Hub.open(settings), f"http://{HOST}")
    access = made.ledger.access(sha256(TOKEN.encode()).digest(), datetime.now(UTC), HOST)
    assert access is not None  # ``prepare`` issued it

    def known(request: Request, service: Service) -> Access | Response:
        return admit(request, access, service.limits, service.clock()) or access

    redistribution.authenticate = known  # type: ignore[attr-defined]  # where routes look for it
    return create_app(made)


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


def throughput(server: Server, paths: list[str], requests: int) -> float:
    """Return answers per second with one request on its way on each of several connections."""
    connections = [Connection(server.port) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for number, connection in enumerate(connections):
        connection.ask(paths[number % len(paths)])
    for number in range(requests):
        connection = connections[number % CONNECTIONS]
        connection.answer(paths[number % len(paths)])
        connection.ask(paths[(number + CONNECTIONS) % len(paths)])
    return requests / (time.perf_counter() - started)


def mask_seconds(home: Path) -> dict[str, float]:
    """Return the CPU seconds that making each kind of view takes."""
    hub, found = Hub.open(Settings(home=home)), {}
    grants = {
        "rows since 2010": Grant(frozenset(Disclosure), RowRule(applicationDateFrom=SINCE)),
        "no free text": Grant(frozenset(Disclosure), freeText=False),
    }
    for name, grant in grants.items():
        before = time.process_time()
        hub.serving.prepare("VN", Right.TRADEMARKS, grant)
        found[name] = time.process_time() - before
    hub.close()
    return found


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "hub"
        points, pages = prepare(home, asked.records)
        root = str(Path(__file__).parents[1])
        hub_environment = {"IPHUB_HOME": str(home), "PYTHONPATH": root}
        with (
            serving("benchmarks.api:echo", 18_801, {"PYTHONPATH": root}) as limit,
            serving("iphub.serve:application", 18_802, hub_environment) as hub,
            serving("benchmarks.api:without_look_up", 18_804, hub_environment) as open_hub,
            # Of its own, so that a point read is compared with one that had the same before.
            serving("iphub.serve:application", 18_806, hub_environment) as list_hub,
        ):
            pages += walk(list_hub, pages[0])
            changes = "/v1/changes?office=VN&right=trademarks&limit=1000"
            feed = walk(list_hub, changes)
            subjects = {
                "echo": (limit, ["/echo"], asked.requests),
                "point": (hub, points, asked.requests),
                "open": (open_hub, points, asked.requests),
                "page": (list_hub, pages, asked.requests // 10),
                "changes": (list_hub, feed, asked.requests // 20),
            }
            report(subjects, asked.rounds)
        for name, seconds in mask_seconds(home).items():
            print(
                f"a new mask ({name}) for {asked.records:,} records takes {seconds:.1f} s CPU "
                f"(limit {MASK_LIMIT_SECONDS} for {MASK_RECORDS:,})"
            )


def walk(hub: Server, first: str) -> list[str]:
    """Return the addresses of the pages after ``first``; of a feed, as far as they are full."""
    connection, found, path = Connection(hub.port), list[str](), first
    join = "&" if "?" in first else "?"
    while len(found) < PAGES:
        _, mark, cursor = connection.get(path).rpartition(b'"nextCursor":"')
        if not mark:
            break
        last, path = path, f"{first}{join}cursor={cursor.decode().split(chr(34))[0]}"
        if last == path:
            break
        found.append(path)
    return found


def report(subjects: dict[str, tuple[Server, list[str], int]], rounds: int) -> None:
    """Measure all subjects in turn, ``rounds`` times, and print medians.

    Every other round goes backwards: who comes behind a subject of the same code and store finds
    both in the processor's caches.
    """
    p50, cpu, rate = (dict[str, list[float]]((name, []) for name in subjects) for _ in range(3))
    forth = list(subjects.items())
    for number in range(rounds):
        for name, (server, paths, requests) in forth if number % 2 else reversed(forth):
            server.latencies, server.cpu = [], 0.0
            measure(server, paths, requests)
            p50[name].append(statistics.median(server.latencies) * 1_000)
            cpu[name].append(server.cpu / requests * 1_000)
            rate[name].append(throughput(server, paths, requests))
    for name in subjects:
        latency, used, answers = (statistics.median(each[name]) for each in (p50, cpu, rate))
        print(f"{name:8} p50 {latency:.3f} ms   CPU {used:.3f} ms   {answers:,.0f} requests/s")
    slower = _ratio(p50["point"], p50["echo"])
    print(f"point read is {slower:.2f} x the echo (limit {POINT_LIMIT})")
    reached = _ratio(rate["point"], rate["echo"])
    print(f"throughput is {reached:.2f} x the echo's (at least {THROUGHPUT_LIMIT})")
    lost = 1 - _ratio(rate["point"], rate["open"])
    used = _ratio(cpu["point"], cpu["open"]) - 1
    print(
        f"looking a token up costs {lost:.1%} throughput, {used:.1%} CPU (limit {AUTH_LIMIT:.0%})"
    )
    print(f"page of 100 takes {statistics.median(cpu['page']):.2f} ms CPU (limit {PAGE_LIMIT_MS})")
    changes = statistics.median(cpu["changes"])
    print(f"page of 1,000 changes takes {changes:.2f} ms CPU (limit {CHANGES_LIMIT_MS})")


def _ratio(some: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(some, others, strict=True))


if __name__ == "__main__":
    main()
