"""Pushing a large package by curl, against nginx's PUT of the same file in the same run.

    .venv/bin/python -m benchmarks.push [--megabytes 500] [--rounds 5]

nginx stores the body without a hash; the hub stores it with a running SHA-256, puts it on disk
(fsync) and records the delivery. Both listen on loopback and write to the same disk; rounds
alternate. Printed are MB/s, the server's CPU (user and system, from ``/proc``) and the peak
memory of the hub's worker, at rest and after all rounds.
"""

import argparse
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from connectors.hub import Hub
from connectors.settings import Settings

HOST = "127.0.0.1"
LEAST_SHARE, MOST_MEGABYTES = 0.5, 100

NGINX = """
worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {root}/body;
  server {{ listen {host}:{port}; root {root}/www; location / {{ dav_methods PUT; }} }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """Run a server until the block ends; lend its process identifier."""
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def family(pid: int) -> list[int]:
    """Return a process and its children: nginx works in one of them."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, found)]


def cpu_seconds(pid: int) -> float:
    used = 0.0
    for one in family(pid):
        parts = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        used += (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
    return used


def megabytes(pid: int, line: str) -> float:
    for text in Path(f"/proc/{pid}/status").read_text().splitlines():
        if text.startswith(line):
            return int(text.split()[1]) / 1024
    return 0.0


def send(url: str, file: Path, *more: str) -> float:
    """Send a file with curl; return the seconds it took."""
    command = ["curl", "--silent", "--show-error", "--fail", "-o", os.devnull, *more, url]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def prepare(home: Path, token: str) -> None:
    hub, now = Hub.create(Settings(home=home)), datetime.now(UTC)
    client, _ = hub.ledger.clients.add(name="bench", office="KH", at=now, by="bench")
    hashed, expires = sha256(token.encode()).digest(), now + timedelta(minutes=15)
    hub.ledger.tokens.issue(client.clientId, hashed, expires, now)
    hub.close()


def main() -> int:
    """Run the comparison, print it, return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iphub-push-") as folder:
        root = Path(folder)
        return compare(root, asked.megabytes, asked.rounds)


def compare(root: Path, size: int, rounds: int) -> int:
    root.chmod(0o755)
    for name in ("www", "body"):
        (root / name).mkdir()
        (root / name).chmod(0o777)
    limit, port, token = free_port(), free_port(), secrets.token_hex()
    (root / "nginx.conf").write_text(NGINX.format(root=root, host=HOST, port=limit))
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    home = root / "hub"
    prepare(home, token)
    serve = [sys.executable, "-m", "iphub", "serve", "--home", str(home), "--port", str(port)]
    url = f"http://{HOST}:{port}/v1/offices/KH/trademarks/packages?kind=update&name=big.zip"
    header = ("-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/zip")
    speeds: dict[str, list[float]] = {"nginx": [], "hub": []}
    cpu: dict[str, list[float]] = {"nginx": [], "hub": []}
    with (
        running([nginx, "-c", str(root / "nginx.conf"), "-p", str(root)], limit, {}) as server,
        running(serve, port, {"PYTHONPATH": str(Path(__file__).parents[1])}) as hub,
    ):
        time.sleep(1)
        send(f"http://{HOST}:{port}/healthz", root)
        at_rest = megabytes(hub, "VmRSS")
        for number in range(rounds):
            file = root / "big.zip"
            block = secrets.token_bytes(1 << 20)
            with file.open("wb") as sink:
                for _ in range(size):
                    sink.write(block)
            os.sync()
            for name, pid, arguments in (
                ("nginx", server, (f"http://{HOST}:{limit}/{number}.zip", file, "-T", str(file))),
                ("hub", hub, (url, file, *header, "-X", "POST", "-T", str(file))),
            ):
                os.sync()  # nginx leaves its writing to later, which is not the next one's time
                before = cpu_seconds(pid)
                speeds[name].append(size / send(*arguments))
                cpu[name].append(cpu_seconds(pid) - before)
            (root / "www" / f"{number}.zip").unlink()
            for landed in (home / "landing").rglob("??/*"):
                landed.unlink()
        peak = megabytes(hub, "VmHWM")
    return tell(speeds, cpu, at_rest, peak, size)


def tell(
    speeds: dict[str, list[float]],
    cpu: dict[str, list[float]],
    at_rest: float,
    peak: float,
    size: int,
) -> int:
    for name in speeds:
        fast, used = statistics.median(speeds[name]), statistics.median(cpu[name])
        print(f"{name:6} {fast:6.0f} MB/s   CPU {used:.2f} s for {size} MB")
    share = statistics.median(h / n for h, n in zip(speeds["hub"], speeds["nginx"], strict=True))
    print(f"the hub is {share:.2f} x nginx without a hash (goal {LEAST_SHARE})")
    print(f"memory {at_rest:.0f} MB at rest, peak {peak:.0f} MB (goal: {MOST_MEGABYTES} more)")
    return int(share < LEAST_SHARE or peak - at_rest > MOST_MEGABYTES)


if __name__ == "__main__":
    raise SystemExit(main())
