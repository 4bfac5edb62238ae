"""A day or an errand of a hub in processes that can be killed at any named point.

Run as a script it reads requests (one JSON document a line), forks a child for each and says how
the child ended. The parent loads everything once and starts no thread, so a child costs a
fork and not an interpreter.
"""

import json
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pandas  # noqa: F401 - pyarrow loads it when it is first asked for rows
from errands import ERRANDS, tidy

from connectors import faults
from connectors.collection.collector import Collector
from connectors.hub import Hub
from connectors.readers.archives import prove_complete
from connectors.settings import Settings
from connectors.sftp.files import RemoteFile
from connectors.sftp.listing import Listing
from ipregister.deliveries import State
from ipregister.mapping import mapping_for
from ipregister.model import Right
from ipregister.profiles import Profile, load_profile
from ipregister.quality import rules_for
from pipelines.ingest import give_back, process_delivery
from pipelines.maintenance import maintain
from pipelines.workers import is_dead, worker_name

OFFICE, RIGHT = "KH", Right.TRADEMARKS


class Folder:
    """An office's folder on this machine, listed and read as its server would be."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree

    def list(self, _office: str) -> Listing:
        files = sorted(path for path in self._tree.rglob("*") if path.is_file())
        return Listing(
            [
                RemoteFile(str(path.relative_to(self._tree)), path.stat().st_size, 1_700_000_000)
                for path in files
            ]
        )

    def fetch(
        self, _office: str, files: Sequence[RemoteFile], starts: Mapping[str, int]
    ) -> Iterator[BinaryIO]:
        for file in files:
            with (self._tree / file.path).open("rb") as opened:
                opened.seek(starts.get(file.path, 0))
                yield opened


def one_day(home: Path, tree: Path, at: datetime) -> list[Exception]:
    """Collect, process, release what was held, maintain; what an earlier day left goes on.

    Returns what stopped deliveries, which wait again.
    """
    failed = list[Exception]()
    hub = Hub.create(Settings(home=home, workers=1))
    deliveries = hub.ledger.deliveries
    hub.ledger.leases.end(is_dead, at)
    Collector(hub.ledger, hub.landing, _impatient, prove_complete).collect(
        Folder(tree), OFFICE, at=at
    )
    _process(hub, at, failed)
    for held in deliveries.list(states=[State.HELD]):
        deliveries.move(held.deliveryId, State.CHECKING, at, "office", expected=State.HELD)
    _process(hub, at, failed)
    # Nobody else is at work, so what is unfinished now is left over.
    maintain(hub, at=datetime.now(UTC) + timedelta(seconds=1), abandoned=timedelta())
    hub.close()
    return failed


def _process(hub: Hub, at: datetime, failed: list[Exception]) -> None:
    """Process what waits; behind a delivery that fails nothing of this office is processed."""
    worker = worker_name("test")
    for waiting in [] if failed else hub.ledger.leases.waiting(at=at):
        try:
            process_delivery(hub, waiting.deliveryId, worker=worker, clock=lambda: at)
        except Exception as exc:
            failed.append(exc)
            give_back(hub, waiting.deliveryId, exc, worker=worker, at=at)
            return


def _impatient(office: str) -> Profile:
    profile = load_profile(office)
    quiet = dict.fromkeys(profile.delivery.quiet_seconds, 0)
    return profile.model_copy(
        update={"delivery": profile.delivery.model_copy(update={"quiet_seconds": quiet})}
    )


def killer(point: str, hit: int) -> Callable[[str], None]:
    """Return what kills this process when it passes a point for the n-th time."""
    passed = Counter[str]()

    def react(reached: str) -> None:
        passed[reached] += 1
        if reached == point and passed[point] == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    return react


def filler(point: str, how: str, disk: Path) -> Callable[[str], None]:
    """Return what leaves no room to write when a point is passed."""

    def react(reached: str) -> None:
        if reached == point and how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        elif reached == point and how == "tmpfs" and not (disk / "filler").exists():
            fill(disk)

    return react


def fill(disk: Path) -> None:
    """Write until a disk is full, to the last byte."""
    with (disk / "filler").open("wb", buffering=0) as filling:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while filling.write(bytes(size)) == size:
                    pass


def child(asked: dict[str, Any]) -> int:
    """Live one day in this process; return 3 when deliveries had to wait, 2 when all had to.

    Or run one errand, between two sweeps.
    """
    passed, home = Counter[str](), Path(asked["home"])
    if errand := asked.get("errand"):
        tidy(home)
    if asked.get("how"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        faults.arm(filler(asked["point"], asked["how"], home.parent))
    elif asked.get("point"):
        faults.arm(killer(asked["point"], asked["hit"]))
    else:
        faults.arm(lambda point: passed.update([point]))
    if limit := asked.get("memory"):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    at, failed = datetime.fromisoformat(asked["at"]), list[Exception]()
    try:
        if errand:
            ERRANDS[errand](home, at, **asked.get("more", {}))
            faults.disarm()
            tidy(home)
        else:
            failed = one_day(home, Path(asked["tree"]), at)
    except Exception:
        traceback.print_exc()
        return 2
    for exc in failed:
        traceback.print_exception(exc)
    if not failed and not asked.get("point"):
        Path(asked["log"]).with_suffix(".points").write_text(json.dumps(passed))
    return 3 if failed else 0


def main() -> None:
    """Serve requests until there are no more."""
    load_profile(OFFICE)
    mapping_for(OFFICE, RIGHT)
    rules_for(RIGHT)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            # Where no file may be written, the log must be none.
            with Path("/dev/null" if asked.get("how") == "limit" else asked["log"]).open(
                "w"
            ) as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            code = child(asked)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
