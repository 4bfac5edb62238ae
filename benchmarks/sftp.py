"""SFTP engine against OpenSSH's client (and rclone, where installed) on loopback.

Starts Debian's ``sshd`` with ``internal-sftp``, fetches one large file and many small ones
with both, alternately, and lists a tree of the shape offices have. Prints medians and
ratios; the ratios are what to compare between machines.

    .venv/bin/python benchmarks/sftp.py [--large-mb 300] [--small 2000] [--listed 50000]
    .venv/bin/python benchmarks/sftp.py --delay-ms 100 --large-mb 100 --small 200
"""

import argparse
import json
import os
import resource
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from connectors.sftp.downloads import fetch
from connectors.sftp.listing import walk
from connectors.sftp.protocol import Wire
from connectors.sftp.session import Address, Login, connect

HELPER = Path(__file__).parents[1] / "tests" / "flow" / "sshd.py"
RELAY = Path(__file__).with_name("long_line.py")
SMALL_BYTES = 50_000
FILES_PER_FOLDER = 40

Work = Callable[[Path], None]
"""One client's run, into an empty folder."""


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--large-mb", type=int, default=300)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--listed", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--delay-ms", type=float, default=0, help="round trip added by a relay")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if sshd is None:
        print("OpenSSH's sshd is not installed (Debian: openssh-server)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        server = runpy.run_path(str(HELPER))["start"](root, sshd)
        try:
            with _long_line(server, options.delay_ms):
                results = _measure(root, server, options)
        finally:
            server.stop()
    print(json.dumps(results, indent=2) if options.json else _table(results))
    return 0


@contextmanager
def _long_line(server: Any, delay_ms: float) -> Iterator[None]:
    """Put a relay before the server, where a delay is asked for."""
    if not delay_ms:
        yield
        return
    command = [sys.executable, str(RELAY), str(server.port), str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
        port = int(relay.stdout.readline()) if relay.stdout else 0
        pinned = server.known_hosts.read_text().replace(f":{server.port} ", f":{port} ")
        server.known_hosts.write_text(pinned)
        server.port = port
        try:
            yield
        finally:
            relay.terminate()


def _measure(root: Path, server: Any, options: argparse.Namespace) -> dict[str, Any]:
    _make_trees(root, options)
    results: dict[str, Any] = {"loadBefore": os.getloadavg()[0], "runs": options.runs}
    for name in ("large", "small"):
        folder = root / name
        contestants: dict[str, Work] = {
            "engine": partial(_engine_get, server, folder),
            "openssh": partial(_openssh_get, server, folder, ()),
            "opensshGcm": partial(_openssh_get, server, folder, ("-c", "aes128-gcm@openssh.com")),
        }
        results[name] = _alternate(root, contestants, options.runs)
    listers: dict[str, Work] = {
        "engine": partial(_engine_list, server, root / "tree", options.listed)
    }
    if rclone := shutil.which("rclone"):
        listers["rclone"] = partial(_rclone_list, rclone, server, root / "tree")
    results["listing"] = _alternate(root, listers, options.runs)
    results["maxMemoryMb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    results["delayMs"] = options.delay_ms
    results["megabytes"] = options.large_mb
    results["files"] = options.small
    results["listed"] = options.listed
    return results


def _make_trees(root: Path, options: argparse.Namespace) -> None:
    (root / "large").mkdir()
    with (root / "large" / "full.zip").open("wb") as sink:
        for _ in range(options.large_mb):
            sink.write(os.urandom(1_000_000))
    (root / "small").mkdir()
    for number in range(options.small):
        (root / "small" / f"{number:06d}.zip").write_bytes(os.urandom(SMALL_BYTES))
    for number in range(options.listed):
        folder = root / "tree" / f"{number // FILES_PER_FOLDER:05d}"
        if number % FILES_PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number}.xml").touch()


def _alternate(root: Path, contestants: dict[str, Work], runs: int) -> dict[str, dict[str, float]]:
    """Run the contestants in turn, so that other load on the machine hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    processor: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(runs):
        for name, work in contestants.items():
            sink = root / "sink"
            sink.mkdir()
            before, began = _processor_seconds(), time.perf_counter()
            work(sink)
            seconds[name].append(time.perf_counter() - began)
            processor[name].append(_processor_seconds() - before)
            shutil.rmtree(sink)
    return {
        name: {
            "seconds": round(statistics.median(seconds[name]), 3),
            "processorSeconds": round(statistics.median(processor[name]), 3),
        }
        for name in contestants
    }


def _processor_seconds() -> float:
    """Return processor time of this process and of the clients it ran (not of the server)."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    clients = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + clients.ru_utime + clients.ru_stime


def _connected(server: Any) -> AbstractContextManager[Wire]:
    """Log in anew for every run, as the other clients do."""
    address = Address("127.0.0.1", server.port, server.user)
    return connect(address, Login(server.key), known_hosts=server.known_hosts)


def _engine_get(server: Any, folder: Path, sink: Path) -> None:
    with _connected(server) as wire:
        for download in fetch(wire, walk(wire, str(folder)).files):
            with (sink / Path(download.file.path).name).open("wb") as target:
                while piece := download.read(1 << 20):
                    target.write(piece)


def _engine_list(server: Any, tree: Path, expected: int, sink: Path) -> None:
    del sink
    with _connected(server) as wire:
        _expect(len(walk(wire, str(tree)).files), expected)


def _openssh_get(server: Any, folder: Path, options: tuple[str, ...], sink: Path) -> None:
    command = [*server.client("sftp", *options, "-q", "-b", "-"), f"{server.user}@127.0.0.1"]
    batch = f'get -r "{folder}" "{sink}/"\n'.encode()
    subprocess.run(command, input=batch, check=True, capture_output=True)
    _expect(len(list((sink / folder.name).iterdir())), len(list(folder.iterdir())))


def _rclone_list(rclone: str, server: Any, tree: Path, sink: Path) -> None:
    del sink
    remote = f":sftp,host=127.0.0.1,port={server.port},user={server.user},key_file={server.key}"
    remote += f",known_hosts_file={server.known_hosts},set_modtime=false,shell_type=none:{tree}"
    command = [rclone, "lsf", "-R", "--files-only", "--format", "pst", remote]
    subprocess.run(command, check=True, capture_output=True)


def _expect(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"{found} files instead of {expected}")


def _table(results: dict[str, Any]) -> str:
    lines = [
        f"medians of {results['runs']} runs, {results['delayMs']:g} ms added,"
        f" load before {results['loadBefore']:.1f}"
    ]
    units = {
        "large": ("MB/s", results["megabytes"]),
        "small": ("files/s", results["files"]),
        "listing": ("files/s", results["listed"]),
    }
    for name, (unit, amount) in units.items():
        for contestant, figures in results[name].items():
            ratio = figures["seconds"] / results[name]["engine"]["seconds"]
            lines.append(
                f"{name:8} {contestant:11} {amount / figures['seconds']:10.0f} {unit:8}"
                f" {figures['seconds']:7.2f} s, client CPU {figures['processorSeconds']:6.2f} s"
                f"; engine is {ratio:.2f} times as fast"
            )
    lines.append(f"largest memory of the engine's process: {results['maxMemoryMb']} MB")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
