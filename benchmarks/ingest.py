"""Records per second from a ZIP to published, against WIPO's own normaliser on the same records.

    python -m benchmarks.ingest [--records 100000] [--memory]

The peer (``wipo-gbd-transformation`` from the package index) lives in an environment of its
own below ``.bench/``, because its pins cannot live beside ours. It only transforms one record
per file; we read, map, check by all rules, append to the register and publish for reading.
Both run alternately, one process each, and are charged by CPU time, so that a busy machine
slows both alike. What a delivery costs whatever its size is charged to us too, and counts the more
the smaller the corpus is. ``--memory`` loads 200,000 records and reports the peak of the process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environments import environment
from connectors.hub import Hub
from connectors.ledger import DeliveredFile
from connectors.settings import Settings
from iphub.demo import trademark_corpus
from ipregister.deliveries import Kind
from ipregister.model import Right
from pipelines.ingest import process_delivery

PEER = ("wipo-gbd-transformation==1.1.110", "wipo-gbd-validation==2.0.5")
PEER_RECORDS = 400
ROUNDS = 3
GOAL_RATIO, GOAL_MEMORY_GIB = 20, 1.5

PEER_SCRIPT = """
import json, pathlib, sys, time
from gbdtransformation.parser import Parser
parser = Parser('khtm')
paths = sorted(map(str, pathlib.Path(sys.argv[1]).rglob('*.xml')))
parser.run(paths[0])
started = time.process_time()
lost = 0
for path in paths:
    try:
        parser.run(path)
    except Exception:  # it refuses a record with one word it does not know
        lost += 1
seconds = time.process_time() - started
print(json.dumps({"records": len(paths), "lost": lost, "seconds": seconds}))
"""


def ours(corpus: Path) -> dict[str, float]:
    """Load one corpus into a fresh hub; return records, CPU seconds, peak memory (MiB).

    A few records go through another hub first: the peer, too, is timed after a warm-up.
    """
    _load(_corpus(50, 1_000))
    return _load(corpus)


def _load(corpus: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        hub = Hub.create(Settings(home=Path(home), workers=1))
        landed = hub.landing.put_file(corpus)
        files = [DeliveredFile(corpus.name, landed.sha256, landed.bytes)]
        delivery = hub.ledger.deliveries.record(
            "KH", Right.TRADEMARKS, Kind.FULL_EXTRACTION, "local", files, at=_now(), by="bench"
        )
        before = _cpu()
        done = process_delivery(hub, delivery.deliveryId, worker="bench", clock=_now)
        seconds = _cpu() - before
        hub.close()
    if done is None or done.receipt is None or done.receipt.accepted != done.receipt.recordsRead:
        raise SystemExit(f"not everything was published: {done}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"records": done.receipt.recordsRead, "seconds": seconds, "peakMiB": peak}


def _now() -> datetime:
    return datetime.now(UTC)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _in_child(*arguments: str) -> dict[str, float]:
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", *arguments], check=True, stdout=subprocess.PIPE
    ).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def _peer_rate(python: Path, directory: str) -> tuple[float, str]:
    """Return the peer's records per CPU second, and what it lost."""
    output = subprocess.run(
        [str(python), "-c", PEER_SCRIPT, directory], check=True, stdout=subprocess.PIPE
    ).stdout
    peer = json.loads(output.splitlines()[-1])
    return peer["records"] / peer["seconds"], f"{peer['lost']} of {peer['records']}"


def _corpus(records: int, per_file: int) -> Path:
    path = Path(f".bench/KH_20260915_{records}_{per_file}.zip")
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        trademark_corpus(path, office="KH", count=records, seed=1, per_file=per_file)
    return path


def _single_files(directory: Path) -> None:
    """Unpack the first records of the single-record corpus for the peer."""
    with zipfile.ZipFile(_corpus(PEER_RECORDS, 1)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".xml")]
        archive.extractall(directory, names)


def main() -> None:
    """Run the comparison and print what it found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=100_000)
    arguments.add_argument("--memory", action="store_true")
    arguments.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.only:
        print(json.dumps(ours(asked.only)))
        return
    if asked.memory:
        measured = _in_child("--only", str(_corpus(200_000, 1_000)))
        gib = measured["peakMiB"] / 1024
        rate = measured["records"] / measured["seconds"]
        print(f"memory  200,000 records: peak {gib:.2f} GiB (goal {GOAL_MEMORY_GIB})")
        print(f"        {rate:,.0f} records per CPU second")
        return
    corpora = {"1,000 a file": _corpus(asked.records, 1_000), "1 a file": _corpus(asked.records, 1)}
    peer_python = environment("peer", *PEER)
    ratios: dict[str, list[float]] = {name: [] for name in corpora}
    with tempfile.TemporaryDirectory(prefix="peer-") as directory:
        _single_files(Path(directory))
        for _ in range(ROUNDS):
            for name, corpus in corpora.items():
                peer_rate, lost = _peer_rate(peer_python, directory)
                measured = _in_child("--only", str(corpus))
                rate = measured["records"] / measured["seconds"]
                ratios[name].append(rate / peer_rate)
                print(
                    f"ingest  {name:12} {rate:7,.0f} records/CPU s, peer {peer_rate:5,.0f}, "
                    f"ratio {rate / peer_rate:5.1f}, peak {measured['peakMiB']:,.0f} MiB "
                    f"(the peer lost {lost} records, we none)"
                )
    for name, found in ratios.items():
        print(f"ingest  {name:12} median ratio {statistics.median(found):.1f} (goal {GOAL_RATIO})")


if __name__ == "__main__":
    main()
