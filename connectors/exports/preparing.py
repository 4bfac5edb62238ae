"""Asking for prepared files: what is not ready is put into the queue and a builder started."""

import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

from connectors.exports.store import HUB, ExportStore
from connectors.exports.tasks import Snapshot, State, Task


class Exports:
    """Prepared files of one serving store, seen by those who want them."""

    def __init__(self, serving: Path, store: ExportStore, receipts: Path) -> None:
        """Read from the serving store ``serving``; keep what files hold with the receipts."""
        self.store = store
        self.serving = serving
        self.receipts = receipts
        self._builder: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, task: Task, by: str = HUB, at: datetime | None = None) -> bool:
        """Have a file prepared; false when too much waits already."""
        if not self.store.ask(task, by, at):
            return False
        if self.store.snapshot(task.key) is None:
            self.start()
        return True

    def snapshot(self, key: str) -> Snapshot | None:
        """Return what is ready under a key."""
        return self.store.snapshot(key)

    def state(self, task: Task, by: str) -> State:
        """Return how far a task is for who asked; what was lost on the way is begun again."""
        wish = self.store.wish(task.key, by)
        if wish is not None and wish.cancelledAt is not None:
            return "CANCELLED"
        state = self.store.state(task.key)
        if state in ("RECEIVED", "IN_PROGRESS"):
            self.start()
        return state or "FAILED"

    def start(self) -> None:
        """Make sure there is a builder: ours, or that of another worker, which it leaves alone."""
        with self._lock:
            if self._builder is None or self._builder.poll() is not None:
                self._builder = subprocess.Popen(  # noqa: S603 - our own program, no shell
                    [
                        *(sys.executable, "-m", "connectors.exports.builder"),
                        *(str(self.serving), str(self.store.root), str(self.receipts)),
                    ],
                    stdin=subprocess.DEVNULL,
                    # Ctrl-C ends who serves, not what is half made; three times, it is given up.
                    start_new_session=True,
                )

    def close(self) -> None:
        """Wait for our builder, if it is at work."""
        with self._lock:
            if self._builder is not None:
                self._builder.wait()
