"""A day of a hub in processes that can be killed at any named point; run by ``test_kills.py``.

Run as a script it reads requests (one JSON document a line), forks a child for each and says how
the child ended. The parent loads everything once and starts no thread, so a child costs a
fork and not an interpreter.
"""

import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

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
from pipelines.ingest import process_delivery
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


def one_day(home: Path, tree: Path, at: datetime) -> None:
    """Collect, process, release what was held, maintain; what an earlier day left goes on."""
    hub = Hub.create(Settings(home=home, workers=1))
    deliveries = hub.ledger.deliveries
    deliveries.end_leases(is_dead, at)
    Collector(hub.ledger, hub.landing, _impatient, prove_complete).collect(
        Folder(tree), OFFICE, at=at
    )
    _process(hub, at)
    for held in deliveries.list(states=[State.HELD]):
        deliveries.move(held.deliveryId, State.CHECKING, at, "office", expected=State.HELD)
    _process(hub, at)
    # Nobody else is at work, so what is unfinished now is left over.
    maintain(hub, at=datetime.now(UTC) + timedelta(seconds=1), abandoned=timedelta())
    hub.close()


def _process(hub: Hub, at: datetime) -> None:
    for waiting in hub.ledger.deliveries.waiting(at=at):
        process_delivery(hub, waiting.deliveryId, worker=worker_name("test"), clock=lambda: at)


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


def child(asked: dict[str, Any]) -> None:
    """Live one day in this process."""
    passed = Counter[str]()
    if asked.get("point"):
        faults.arm(killer(asked["point"], asked["hit"]))
    else:
        faults.arm(lambda point: passed.update([point]))
    if limit := asked.get("fileBytes"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    one_day(Path(asked["home"]), Path(asked["tree"]), datetime.fromisoformat(asked["at"]))
    Path(asked["log"]).with_suffix(".points").write_text(json.dumps(passed))


def main() -> None:
    """Serve requests until there are no more."""
    load_profile(OFFICE)
    mapping_for(OFFICE, RIGHT)
    rules_for(RIGHT)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            with Path(asked["log"]).open("w") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            child(asked)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps(os.waitstatus_to_exitcode(status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
