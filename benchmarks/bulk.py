"""Bulk against nginx handing out the same bytes, and against what makes them, in one run.

    .venv/bin/python -m benchmarks.bulk [--records 200000] [--rounds 5]

One uvicorn worker as ``iphub serve`` runs it, with authentication, grants, quotas and receipts;
nginx with ``deploy/nginx.conf`` in front of it for the hand-over; the client is one socket that
throws away what it reads. The third party may not see stakeholders. Subjects alternate; printed
are medians, and the ratios goals are about. PostgreSQL (``IPHUB_TEST_POSTGRES_URL``) holds a
tenth of the same records, typed and with jsonb, and is asked for ``json_agg`` by the thousand;
ROAPI (from the package index) answers with all of the same mask.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec

from benchmarks.bulk_peers import HUB_PORT, NGINX_PORT, nginx, postgres_rate, roapi_rate
from benchmarks.served import HOST, TOKEN, prepare, serving
from connectors.cursors import Cursors
from connectors.exports.builder import build
from connectors.exports.formats import Format
from connectors.exports.store import ExportStore
from connectors.exports.tasks import Snapshot, Task
from connectors.hub import Hub
from connectors.settings import Settings
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

ROOT = Path(__file__).parents[1]
RECORDS = "/v1/offices/VN/trademarks/records"
NDJSON = {"Accept": "application/x-ndjson"}
TM = Right.TRADEMARKS
FLOOR_LIVE, FLOOR_READY, FIRST_BYTE_MS, MEMORY_MB, BUILD_SECONDS = 0.5, 0.9, 50, 200, 5
PEERS_GOAL = 10


@dataclass(frozen=True, slots=True)
class Fetched:
    """One transfer: seconds to the first and to the last byte, and how many there were."""

    first: float
    whole: float
    bytes: int


def fetch(port: int, path: str, headers: dict[str, str]) -> Fetched:
    """Read an answer and throw it away; anything but 200 ends the run."""
    sent = {"Host": "x", "Connection": "close", "Authorization": f"Bearer {TOKEN}"} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    buffer, size, first = bytearray(1 << 20), 0, 0.0
    with socket.create_connection((HOST, port)) as connection:
        started = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        while read := connection.recv_into(buffer):
            if not size:
                first = time.perf_counter() - started
                if b" 200 " not in buffer[:13]:
                    raise SystemExit(f"{path}: {bytes(buffer[:300])!r}")
            size += read
    return Fetched(first, time.perf_counter() - started, size)


class Memory:
    """Watches the anonymous memory of a process: mapped files are the page cache's."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._status, self._stop = Path(f"/proc/{pid}/status"), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            _, _, rest = self._status.read_text().partition("RssAnon:")
            self.peak = max(self.peak, int(rest.split()[0]) / 1_024)

    def stop(self) -> float:
        """Return the highest value seen, in MiB."""
        self._stop.set()
        self._thread.join()
        return self.peak


def ready(home: Path) -> tuple[dict[str, Snapshot], dict[str, float]]:
    """Prepare a file of a new mask in each form and the mapped columns; return CPU seconds too."""
    hub = Hub.open(Settings(home=home))
    hub.ledger.authorizations.set(
        "VN", "Bench", {TM: {Disclosure.STAKEHOLDER}}, None, datetime.now(UTC), "bench"
    )
    authorization = hub.ledger.authorizations.show("VN", "Bench")
    if authorization is None:
        raise SystemExit("there is no authorization")
    grant = authorization.grants[TM]
    exports = hub.exports()
    made: dict[str, Snapshot] = {}
    cpu: dict[str, float] = {}
    with builders_place(exports.store):
        make(hub, grant, made, cpu)
    hub.close()
    return made, cpu


@contextmanager
def builders_place(store: ExportStore) -> Iterator[None]:
    """Wait for the builder that the first stream started, and take its place."""
    while True:
        with store.builder() as mine:
            if mine:
                yield
                return
        time.sleep(0.1)


def make(hub: Hub, grant: Grant, made: dict[str, Snapshot], cpu: dict[str, float]) -> None:
    """Prepare the files, each timed."""
    exports = hub.exports()
    for kind in (Format.PARQUET, Format.NDJSON, Format.ARROW):
        whole = kind is Format.ARROW
        place = (hub.serving.whole_place if whole else hub.serving.place)("VN", TM, grant)
        before = time.process_time()
        task = Task("VN", TM, place, kind)
        exports.store.ask(task)  # what nobody wants is not made
        made[str(kind)] = build(hub.serving.path, exports.store, hub.home.receipts, task)
        cpu[str(kind)] = time.process_time() - before


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, home, static = Path(name), Path(name) / "hub", Path(name) / "static"
        static.mkdir()
        prepare(home, asked.records, Random(7))
        environment = {"IPHUB_HOME": str(home), "PYTHONPATH": str(ROOT)}
        environment |= {"IPHUB_ROWS_PER_MINUTE": "1000000000"}
        with serving("iphub.serve:application", HUB_PORT, environment):
            from_store = fetch(HUB_PORT, RECORDS, NDJSON | {"Accept-Encoding": "identity"})
        made, cpu = ready(home)
        for kind, seconds in cpu.items():
            size = made[kind].bytes / 1e6
            print(f"{kind:8} {size:6.0f} MB made in {seconds:.2f} s CPU (limit {BUILD_SECONDS})")
        print(
            f"live, first time, out of SQLite: {from_store.whole:.2f} s, "
            f"first byte {from_store.first * 1_000:.1f} ms"
        )
        for kind in ("parquet", "ndjson"):
            file = home / "exports" / "files" / made[kind].file
            shutil.copy(file, static / kind)
        measure(folder, home, static, made, environment, asked.rounds, asked.records)


def measure(
    folder: Path,
    home: Path,
    static: Path,
    made: dict[str, Snapshot],
    environment: dict[str, str],
    rounds: int,
    records: int,
) -> None:
    """Fetch all subjects in turn, ``rounds`` times, and print medians and ratios."""
    files = home / "exports" / "files"
    with (
        serving("iphub.serve:application", HUB_PORT, environment) as hub,
        nginx(folder, static, files),
    ):
        memory = Memory(hub.pid)
        save(static / "live")
        times: dict[str, list[Fetched]] = {}
        addresses = {kind: snapshot_path(home, made[kind]) for kind in ("parquet", "ndjson")}
        for _ in range(rounds):
            for subject, port, path, headers in (
                ("nginx live.ndjson", NGINX_PORT, "/static/live", {}),
                ("hub live", HUB_PORT, RECORDS, NDJSON),
                ("hub live, zstd", HUB_PORT, RECORDS, NDJSON | {"Accept-Encoding": "zstd"}),
                ("nginx parquet", NGINX_PORT, "/static/parquet", {}),
                ("hub parquet", HUB_PORT, addresses["parquet"], {}),
                ("nginx ndjson.zst", NGINX_PORT, "/static/ndjson", {}),
                ("hub ndjson.zst", HUB_PORT, addresses["ndjson"], {}),
            ):
                times.setdefault(subject, []).append(fetch(port, path, headers))
        peak = memory.stop()
    handed = hand_over(folder, home, static, made, environment, rounds)
    report(times | handed, records, peak, files / made["parquet"].file)


def hand_over(
    folder: Path,
    home: Path,
    static: Path,
    made: dict[str, Snapshot],
    environment: dict[str, str],
    rounds: int,
) -> dict[str, list[Fetched]]:
    """Fetch the Parquet file through nginx, which asks the hub and sends it by itself."""
    times: dict[str, list[Fetched]] = {}
    path = snapshot_path(home, made["parquet"])
    accel = environment | {"IPHUB_ACCEL_PREFIX": "/_prepared/"}
    with (
        serving("iphub.serve:application", HUB_PORT, accel),
        nginx(folder, static, home / "exports" / "files"),
    ):
        for _ in range(rounds):
            for subject, address in (("nginx parquet", "/static/parquet"), ("handed over", path)):
                times.setdefault(f"{subject} ", []).append(fetch(NGINX_PORT, address, {}))
    return times


def snapshot_path(home: Path, made: Snapshot) -> str:
    """Return the address of a file for the client of the benchmark."""
    hub = Hub.open(Settings(home=home))
    client = hub.ledger.clients.list()[0].clientId
    task = Task(made.office, made.right, made.place, made.kind)
    sealed = Cursors(hub.home.pepper()).seal(msgspec.json.encode(task), ("snapshot", client))
    hub.close()
    return f"/v1/snapshots/{sealed}"


def save(path: Path) -> None:
    """Keep the live answer as a file for nginx."""
    subprocess.run(
        [
            *("curl", "-s", "-o", str(path), "-H", f"Authorization: Bearer {TOKEN}"),
            *("-H", "Accept: application/x-ndjson", f"http://{HOST}:{HUB_PORT}{RECORDS}"),
        ],
        check=True,
    )


def report(times: dict[str, list[Fetched]], records: int, peak: float, prepared: Path) -> None:
    """Print medians, ratios and what PostgreSQL and ROAPI do."""
    middle = {name: statistics.median(f.whole for f in found) for name, found in times.items()}
    for name, found in times.items():
        size = found[0].bytes / 1e6
        first = statistics.median(f.first for f in found) * 1_000
        print(
            f"{name:20} {size:7.1f} MB {middle[name] * 1_000:7.0f} ms "
            f"{size / middle[name]:7.0f} MB/s   first byte {first:.1f} ms"
        )
    live = middle["nginx live.ndjson"] / middle["hub live"]
    print(f"live masked NDJSON is {live:.2f} x nginx (limit {FLOOR_LIVE})")
    first = max(f.first for f in times["hub live"]) * 1_000
    print(f"slowest first byte {first:.0f} ms (limit {FIRST_BYTE_MS})")
    print(f"anonymous memory of the worker at most {peak:.0f} MB (limit {MEMORY_MB})")
    for kind in ("parquet", "ndjson.zst"):
        ratio = middle[f"nginx {kind}"] / middle[f"hub {kind}"]
        print(f"prepared {kind} is {ratio:.2f} x nginx out of the worker")
    ratio = middle["nginx parquet "] / middle["handed over "]
    print(f"prepared parquet is {ratio:.2f} x nginx when handed over (limit {FLOOR_READY})")
    peers = {"ROAPI": roapi_rate(prepared, records)}
    if url := os.environ.get("IPHUB_TEST_POSTGRES_URL"):
        peers["PostgreSQL json_agg"] = postgres_rate(url, max(1_000, records // 10))
    for name, rate in peers.items():
        live, ready = (records / middle[way] / rate for way in ("hub live", "handed over "))
        print(
            f"{name} makes {rate:,.0f} records/s; live is {live:.0f} x that, the prepared file "
            f"{ready:.0f} x (limit {PEERS_GOAL})"
        )


if __name__ == "__main__":
    main()
