"""A full extraction from ZIP to visible, updates into it, and how both grow with the register.

    .venv/bin/python -m benchmarks.scale [--records 100000 250000 500000 1000000]

For every size the same commands run as a person types them, each a fresh process:

*parsing* is the yardstick. A process of its own opens the same ZIP with the same guards, cuts
it into the same parts and gives them to as many processes as ``iphub process`` uses; every
record is read and mapped, by the code the hub uses, and dropped. Nothing is written, nothing is
judged by rules. Its time is that of the whole process, interpreter and imports included.

*full* is ``iphub submit`` and ``iphub process`` on an empty hub, *update* the same with a file
that changes one record in twenty, spread over the register, *small* one that changes 500. Each
is timed until the publication can be read (the serving store is asked every 20 ms, from outside)
and until the command ends, which may fold the register meanwhile. CPU is that of the process and
all its children; memory the largest sum of resident sizes in the process tree, looked at every
50 ms; pages that processes share are counted in each. Commands run as deployed: compiled modules
are kept, and what only development tools bring along (pandas and numpy, which Arrow loads where it
finds them: 0.5 s in every process) is not there.

Limits are those of the specification, for 1,000,000 records: full at most 3 times parsing, an
update of 50,000 visible in 15 s, one of 500 in 5 s, memory below 2 GiB.
"""

import argparse
import atexit
import multiprocessing
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from connectors.hub import Hub
from connectors.readers import xml
from connectors.readers.archives import Delivered
from connectors.settings import Settings
from connectors.staging.stage import slices
from iphub.demo import trademark_corpus
from iphub.demo.archive import write_zip
from ipregister.mapping import mapping_for
from ipregister.model import Right

OFFICE = "KH"
PER_FILE = 1_000
ONE_IN = 20
SMALL = 500
FULL_LIMIT, UPDATE_SECONDS, SMALL_SECONDS, MEMORY_GIB = 3, 15, 5, 2
LOOK_SECONDS, MEMORY_LOOK_SECONDS = 0.02, 0.05
DEVELOPMENT_ONLY = ("numpy", "pandas")
RECORD = re.compile(rb" *<TradeMark>.*?</TradeMark>\n", re.DOTALL)
ADDRESS = b"<FreeFormatAddressLine>"
CHANGED = b"<FreeFormatAddressLine>Moved to "


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work: seconds until it could be read, and to its end; CPU; peak in GiB.

    ``steps`` are the seconds the ledger keeps of a delivery.
    """

    visible: float
    wall: float
    cpu: float
    peak: float
    steps: Mapping[str, float] = field(default_factory=dict)


def corpus(records: int) -> Path:
    """Return the ZIP of a size, made when it is missing (about three minutes for a million)."""
    path = Path(f".bench/{OFFICE}_20260915_{records}_{PER_FILE}.zip")
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        unfinished = path.with_suffix(".part")
        trademark_corpus(unfinished, office=OFFICE, count=records, seed=1, per_file=PER_FILE)
        unfinished.replace(path)
    return path


def update(whole: Path, target: Path, every: int, offset: int) -> int:
    """Write an update: of every ``every``th record the applicant has moved. Return how many."""
    found, number = 0, offset

    def chosen(record: re.Match[bytes]) -> bytes:
        nonlocal found, number
        number += 1
        if number % every:
            return b""
        found += 1
        return record[0].replace(ADDRESS, CHANGED)

    def members() -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(whole) as archive:
            for name in archive.namelist():
                before = found
                document = RECORD.sub(chosen, archive.read(name))
                if found > before:
                    yield name, document

    write_zip(target, members())
    return found


def parse(whole: Path, workers: int) -> int:
    """Read and map a ZIP and drop everything; return the number of records."""
    with Delivered(whole) as delivered:
        parts = [(whole, first, last) for first, last, _ in slices(delivered.documents)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return sum(pool.map(_parse_part, parts))


def _parse_part(part: tuple[Path, int, int]) -> int:
    path, first, last = part
    mapping, read = mapping_for(OFFICE, Right.TRADEMARKS), 0
    delivered = _opened(path)
    for member in delivered.documents[first:last]:
        with delivered.open(member) as source:
            for record in xml.records(source, mapping.format):
                if not isinstance(record, xml.Record):
                    raise SystemExit(f"{member.path}:{record.line}: {record}")
                mapping.apply(record.element, record.header, {})
                read += 1
    return read


@lru_cache(maxsize=1)
def _opened(path: Path) -> Delivered:
    return Delivered(path)


def timed(command: Sequence[str], store: Path | None = None) -> Run:
    """Run a command; with a store, note when one more publication can be read there."""
    before = _publications(store) if store else 0
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.DEVNULL, env=_deployed()
    )
    watch = _MemoryWatch(process.pid)
    seen: list[float] = []

    def look() -> None:
        while store and not seen and not watch.stop.is_set():
            if _publications(store) > before:
                seen.append(time.perf_counter() - started)
            time.sleep(LOOK_SECONDS)

    threads = [threading.Thread(target=watch.run), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    watch.stop.set()
    for thread in threads:
        thread.join()
    if process.returncode not in (0, 1) or (store and not seen):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(seen[0] if seen else wall, wall, used.ru_utime + used.ru_stime, watch.peak)


@lru_cache(maxsize=1)
def _deployed() -> dict[str, str]:
    """Return the environment of a command: without development tools, with compiled modules."""
    hidden = Path(tempfile.mkdtemp(prefix="scale-hidden-"))
    atexit.register(shutil.rmtree, hidden)
    for name in DEVELOPMENT_ONLY:
        (hidden / f"{name}.py").write_text("raise ImportError('not there when deployed')", "utf-8")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(hidden)}


class _MemoryWatch:
    """Adds up the resident memory of a process and its descendants, again and again."""

    def __init__(self, root: int) -> None:
        self._root, self.peak, self.stop = root, 0.0, threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self.stop.wait(MEMORY_LOOK_SECONDS):
            pages = sum(self._pages(process) for process in self._tree())
            self.peak = max(self.peak, pages * os.sysconf("SC_PAGE_SIZE") / (1 << 30))

    def _tree(self) -> Iterator[int]:
        waiting = [self._root]
        while waiting:
            process = waiting.pop()
            yield process
            for task in Path(f"/proc/{process}/task").glob("*/children"):
                try:
                    waiting += map(int, task.read_text().split())
                except OSError:  # it has ended
                    continue

    def _pages(self, process: int) -> int:
        try:
            return int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except OSError:  # it has ended
            return 0


def _publications(store: Path) -> int:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM publication").fetchone()[0])
    finally:
        connection.close()


def deliver(home: Path, path: Path, kind: str) -> Run:
    """Submit and process one file; return both commands together."""
    flags = ["--home", str(home), "--office", OFFICE]
    what = ["--right", "trademarks", "--kind", kind, str(path)]
    submitted = timed(["iphub", "submit", *flags, *what])
    processed = timed(["iphub", "process", *flags], home / "serving.sqlite")
    hub = Hub.open(Settings(home=home))
    delivery = hub.ledger.deliveries.list(office=OFFICE)[0]
    hub.close()
    if delivery.receipt is None or delivery.receipt.accepted != delivery.receipt.recordsRead:
        raise SystemExit(f"not everything was published: {delivery}")
    return Run(
        submitted.wall + processed.visible,
        submitted.wall + processed.wall,
        submitted.cpu + processed.cpu,
        max(submitted.peak, processed.peak),
        delivery.durations or {},
    )


def measure(records: int, folder: Path) -> dict[str, Run]:
    """Measure one size and print its lines."""
    whole, home, workers = corpus(records), folder / f"hub-{records}", os.cpu_count() or 1
    sizes = {"update": records // ONE_IN, "small": SMALL}
    updates = {name: folder / f"{OFFICE}_20261001_{name}_{records}.zip" for name in sizes}
    for offset, (name, size) in enumerate(sizes.items(), start=1):
        if (made := update(whole, updates[name], records // size, offset)) != size:
            raise SystemExit(f"{name}: {made} records instead of {size}")
    timed(["iphub", "init", "--home", str(home)])
    runs = {
        "parsing": timed(["benchmarks.scale", "--parse", str(whole), "--workers", str(workers)]),
        "full": deliver(home, whole, "full_extraction"),
        "update": deliver(home, updates["update"], "update"),
        "small": deliver(home, updates["small"], "update"),
    }
    for name, run in runs.items():
        count = sizes.get(name, records)
        print(
            f"{records:9,}  {name:7} {count:9,} records  visible {run.visible:7.1f} s  "
            f"end {run.wall:7.1f} s  CPU {run.cpu:7.1f} s ({run.cpu / count * 1e6:,.0f} µs each)  "
            f"peak {run.peak:.2f} GiB  "
            + " ".join(f"{step} {seconds:.1f}" for step, seconds in run.steps.items()),
            flush=True,
        )
    wall, cpu = (
        runs["full"].visible / runs["parsing"].wall,
        runs["full"].cpu / runs["parsing"].cpu,
    )
    print(
        f"{records:9,}  full / parsing: {wall:.2f} by the clock, {cpu:.2f} by CPU "
        f"(limit {FULL_LIMIT} by the clock); load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    shutil.rmtree(home)
    return runs


def main() -> None:
    """Measure every size and print how cost grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, nargs="+", default=[100_000, 250_000])
    parser.add_argument("--parse", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.parse:
        print(parse(asked.parse, asked.workers))
        return
    print(
        f"limits at 1,000,000: update visible in {UPDATE_SECONDS} s, "
        f"small in {SMALL_SECONDS} s, peak {MEMORY_GIB} GiB"
    )
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        for records in asked.records:
            measure(records, Path(folder))


if __name__ == "__main__":
    main()
