"""A greedy client at 20 times its quota: what do the others notice, and what does it cost?

    .venv/bin/python -m benchmarks.limits [--rounds 5] [--seconds 6]

One worker of the hub, one polite client that reads records within its quota, one greedy client
in a process of its own that sends 20 times as much as it may. Rounds without and with the
greedy one alternate; printed are the polite client's p50 and p99 and their ratio, and the share
of the greedy client's requests that was answered. The specification's limit for p99 is 1.5.
"""

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from benchmarks.served import HOST, TOKEN, prepare, serving
from connectors.hub import Hub
from connectors.ledger import ClientChanges
from connectors.settings import Settings

QUOTA = 1_500
"""Requests a minute; 20 times that are 500 a second, which one core can send."""

GREED = 20
POLITE_PAUSE_SECONDS = 0.005
P99_LIMIT = 1.5
GREEDY_TOKEN = "greedy-token"
PORT = 18_803


def status_of(connection: socket.socket, path: str, token: str) -> int:
    """Send one request on an open connection; return the status of the answer."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    connection.sendall(request.encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return int(head[9:12])


def be_greedy(path: str, stop: float, results: "multiprocessing.Queue[Counter[int]]") -> None:
    """Send at 20 times the quota until ``stop``; put the statuses into ``results``."""
    seen: Counter[int] = Counter()
    with socket.create_connection((HOST, PORT)) as connection:
        pause, due = 60 / (QUOTA * GREED), time.monotonic()
        while (now := time.monotonic()) < stop:
            if now < due:
                time.sleep(due - now)
            due += pause
            seen[status_of(connection, path, GREEDY_TOKEN)] += 1
    results.put(seen)


def be_polite(paths: list[str], seconds: float) -> list[float]:
    """Read records at a steady pace; return how long each took, in milliseconds."""
    taken = []
    with socket.create_connection((HOST, PORT)) as connection:
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            started = time.perf_counter()
            if status_of(connection, paths[number % len(paths)], TOKEN) != 200:
                raise SystemExit("the polite client was refused")
            taken.append((time.perf_counter() - started) * 1_000)
            number += 1
            time.sleep(POLITE_PAUSE_SECONDS)
    return taken


def add_greedy(home: Path) -> None:
    """Add the greedy client."""
    hub, now = Hub.open(Settings(home=home)), datetime.now(UTC)
    client, _ = hub.ledger.clients.add(name="greedy", third_party="Greedy", at=now, by="bench")
    quota = ClientChanges(requestsPerMinute=QUOTA)
    hub.ledger.clients.configure(client.clientId, quota, at=now, by="bench")
    digest = sha256(GREEDY_TOKEN.encode()).digest()
    hub.ledger.tokens.issue(client.clientId, digest, now + timedelta(minutes=15), now)
    hub.close()


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "hub"
        paths, _ = prepare(home, 2_000)
        add_greedy(home)
        environment = {"IPHUB_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])}
        with serving("iphub.serve:application", PORT, environment) as server:
            be_polite(paths, 1)
            use_up(paths[0])
            rounds = [
                measure(paths, asked.seconds, server.cpu_seconds) for _ in range(asked.rounds)
            ]
    alone, beside = ([pair[side] for pair in rounds] for side in (0, 1))
    for name, side in (("alone", alone), ("beside", beside)):
        p50 = statistics.median(statistics.median(taken) for taken in side)
        p99 = statistics.median(percentile(taken) for taken in side)
        print(f"polite, {name:6} p50 {p50:.2f} ms   p99 {p99:.2f} ms")
    ratio = statistics.median(
        percentile(b) / percentile(a) for a, b in zip(alone, beside, strict=True)
    )
    print(f"p99 beside the greedy client is {ratio:.2f} x (limit {P99_LIMIT})")
    seen = sum((pair[2] for pair in rounds), Counter[int]())
    print(f"greedy: {seen[200]} answered, {seen[429]} refused")
    cost = statistics.median(pair[3] for pair in rounds)
    print(f"a refusal costs {cost:.3f} ms CPU of the server")


def use_up(path: str) -> None:
    """Empty the greedy client's bucket: what is measured is the state that lasts."""
    with socket.create_connection((HOST, PORT)) as connection:
        while status_of(connection, path, GREEDY_TOKEN) == 200:
            pass


def measure(
    paths: list[str], seconds: float, cpu: Callable[[], float]
) -> tuple[list[float], list[float], Counter[int], float]:
    """Return the polite client's times alone and beside the greedy one, and what that one got."""
    before = cpu()
    alone = be_polite(paths, seconds)
    of_one = (cpu() - before) / len(alone)
    results: multiprocessing.Queue[Counter[int]] = multiprocessing.Queue()
    stop = time.monotonic() + seconds
    greedy = multiprocessing.Process(target=be_greedy, args=(paths[0], stop, results))
    greedy.start()
    before = cpu()
    beside = be_polite(paths, seconds)
    spent = cpu() - before - of_one * len(beside)
    seen = results.get()
    greedy.join()
    return alone, beside, seen, max(0.0, spent) / max(1, seen.total()) * 1_000


def percentile(taken: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(taken)[int(len(taken) * 0.99)]


if __name__ == "__main__":
    main()
