"""What waits to be prepared, who wants it, and the one builder that makes files of it.

What waits is a small file, so neither a crash nor a restart loses it. What is ready, and for
how long, is ``snapshots``.
"""

import fcntl
import os
import secrets
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

import msgspec

from connectors.exports.snapshots import BUDGET_BYTES, RETENTION, Snapshots, write_whole
from connectors.exports.tasks import Failed, Snapshot, State, Task, Waiting, Wish
from connectors.faults import reach
from ipregister.errors import StoreError
from ipregister.model import Right

MAX_ATTEMPTS = 3
"""A task that took the builder down so often is not tried again by itself."""

MAX_WAITING = 1_000
"""Tasks that may wait; a file of 200,000 records takes about five seconds."""

MAX_WAITING_EACH = 200
"""Of them, those one client asked for: files of every office, right and form, or so; one that
asks for a file of each word there is would keep everybody else from asking for any."""

HUB = "hub"
"""Stands for the hub itself among those who wish for files."""


class ExportStore:
    """Prepared files below one directory, and the queue of those to prepare."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, which is made when something is written."""
        self.root = root
        self._ready = Snapshots(root)
        self.files = self._ready.files
        self._queue, self._failed = root / "queue", root / "failed"
        self._work, self._wishes = root / "work", root / "wishes"
        # Of the one builder, who outlives no queue: nobody's files wait for all of another's.
        self._turns: dict[str, int] = {}

    def create(self) -> None:
        """Make the directories; only the hub's user may look into them."""
        within = (self._queue, self._failed, self._work, self._wishes)
        for path in (self.root, *self._ready.directories, *within):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def snapshot(self, key: str) -> Snapshot | None:
        """Return what is ready under a key."""
        return self._ready.find(key)

    def ask(self, task: Task, by: str = HUB, at: datetime | None = None) -> bool:
        """Put a task into the queue, unless it is ready or there; false when the queue is full.

        So it is for one client when it waits for too much already.

        Who (``by``) asked for it before and did not cancel wants the same since then.

        Raises:
            StoreError: there is no room, or the disk failed.
        """
        if by == HUB and self.snapshot(task.key) is not None:
            return True
        with self._wishing():
            there = self.snapshot(task.key) is not None or self._waiting(task.key).exists()
            if not there and self._is_full(by):
                return False
            found = self.wish(task.key, by)
            if not there or found is None or found.cancelledAt is not None:
                write_whole(self._wish(task.key, by), Wish(at or datetime.now(UTC)))
            if there:
                return True
            self._failure(task.key).unlink(missing_ok=True)
            write_whole(self._waiting(task.key), Waiting(task))
        reach("export.asked")
        return True

    def cancel(self, key: str, by: str, at: datetime) -> bool:
        """Give up what somebody asked for; false when it is finished, one way or the other.

        It stays in the queue for as long as somebody else wants the same.

        Raises:
            StoreError: there is no room, or the disk failed.
        """
        with self._wishing():
            found = self.wish(key, by)
            if found is not None and found.cancelledAt is not None:
                return True
            if not self._waiting(key).exists() or self.snapshot(key) is not None:
                return False
            write_whole(self._wish(key, by), Wish(found.at if found else at, at))
            others = [
                msgspec.json.decode(path.read_bytes(), type=Wish)
                for path in self._wishes.glob(f"{key}.*.json")
            ]
            if all(wish.cancelledAt is not None for wish in others):
                self._waiting(key).unlink(missing_ok=True)
        return True

    def wish(self, key: str, by: str) -> Wish | None:
        """Return since when somebody wants a file; nothing when that is not known (any more)."""
        try:
            return msgspec.json.decode(self._wish(key, by).read_bytes(), type=Wish)
        except FileNotFoundError:
            return None

    def state(self, key: str) -> State | None:
        """Return how far a task is; nothing when it was never asked for or is forgotten."""
        if self.snapshot(key) is not None:
            return "COMPLETED"
        waiting = self._read_waiting(key)
        if waiting is None:
            return "FAILED" if self.has_failed(key) else None
        return "IN_PROGRESS" if waiting.attempts else "RECEIVED"

    def has_failed(self, key: str) -> bool:
        """Tell whether a task was given up because nobody could finish it."""
        return self._failure(key).exists()

    def progress(self, key: str) -> int:
        """Return how much of a task in the queue is done, in percent."""
        waiting = self._read_waiting(key)
        return 0 if waiting is None else waiting.progress

    def next(self) -> Task | None:
        """Return the task whose turn it is, and note that it was begun."""
        for path, wanted_by in self._in_turn():
            with self._wishing():
                if (waiting := self._read_waiting(path.stem)) is None:
                    continue  # cancelled at this moment
                if waiting.attempts < MAX_ATTEMPTS:
                    self._note(path, Waiting(waiting.task, waiting.attempts + 1))
                    turn = max(self._turns.values(), default=0) + 1
                    self._turns |= dict.fromkeys(wanted_by, turn)
                    reach("export.begun")
                    return waiting.task
            self.give_up(waiting.task, "crash")
        return None

    def go_on(self, task: Task, progress: int) -> bool:
        """Note how much of a task is done (percent); false when nobody wants it any more."""
        path = self._waiting(task.key)
        with self._wishing():
            if (waiting := self._read_waiting(task.key)) is None:
                return False
            self._note(path, msgspec.structs.replace(waiting, progress=progress))
        return True

    def finish(self, task: Task, made: Path, snapshot: Snapshot) -> None:
        """Take over a finished file: it must be on disk before anybody hears of it.

        One that is stale by now is dropped and stays in the queue.
        """
        with made.open("rb") as written:
            os.fsync(written.fileno())
        reach("export.synced")
        with self._wishing():
            if (waiting := self._read_waiting(task.key)) is not None and waiting.isStale:
                made.unlink()
                return
            self._ready.add(task.key, made, snapshot)
            self._waiting(task.key).unlink(missing_ok=True)
        reach("export.finished")

    def give_up(self, task: Task, kind: str) -> None:
        """Take a task out of the queue that cannot be finished."""
        write_whole(self._failure(task.key), Failed(kind))
        self._waiting(task.key).unlink(missing_ok=True)

    def take_back(self, office: str, right: Right) -> None:
        """Forget every file of a right whose office has taken something back; make none of before.

        Raises:
            StoreError: there is no room, or the disk failed.
        """
        with self._wishing():
            self._ready.forget(office, right)
            for path in self._queue.glob("*.json"):
                waiting = self._read_waiting(path.stem)
                if waiting and (waiting.task.office, waiting.task.right) == (office, right):
                    self._note(path, Waiting(waiting.task, isStale=True))

    def work_file(self) -> Path:
        """Return a new name in the directory where files are made."""
        return self._work / secrets.token_hex(16)

    @contextmanager
    def builder(self) -> Iterator[bool]:
        """Hold the place of the one builder; false when another process has it."""
        self.create()
        with (self.root / "builder.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            self.remove_unfinished()  # of a builder that died
            yield True

    def remove_unfinished(self) -> None:
        """Remove the files that the one builder has begun; for that one only."""
        for left in self._work.iterdir():
            left.unlink()

    def prune(self, now: datetime, *, budget: int = BUDGET_BYTES) -> int:
        """Remove what is too old or too much, the oldest first; return how many bytes went."""
        if not self.files.is_dir():
            return 0
        for path in (*self._failed.glob("*.json"), *self._wishes.glob("*.json")):
            if now.timestamp() - path.stat().st_mtime > RETENTION.total_seconds():
                path.unlink(missing_ok=True)
        return self._ready.prune(now, budget)

    def has_waiting(self) -> bool:
        """Tell whether there is something to prepare."""
        return any(self._queue.glob("*.json"))

    def maintain(self, now: datetime) -> int:
        """Prune when no builder is at work, which does so itself; return how many bytes went."""
        with self.builder() as mine:
            return self.prune(now) if mine else 0

    def _in_turn(self) -> list[tuple[Path, set[str]]]:
        """Return what waits and who wants it: first who had a turn longest ago, or none yet."""
        wanted_by = defaultdict[str, set[str]](set)
        for wish in self._wishes.glob("*.json"):
            key, by = wish.stem.split(".")
            wanted_by[key].add(by)
        waiting = [
            (path, wanted_by.get(path.stem) or {""})
            for path in sorted(self._queue.glob("*.json"), key=_place)
        ]
        return sorted(waiting, key=lambda each: min(self._turns.get(by, 0) for by in each[1]))

    def _is_full(self, by: str) -> bool:
        waiting = list(self._queue.glob("*.json"))
        if by == HUB or len(waiting) < MAX_WAITING_EACH:
            return len(waiting) >= MAX_WAITING
        mine = sum(self._wish(path.stem, by).exists() for path in waiting)
        return mine >= MAX_WAITING_EACH or len(waiting) >= MAX_WAITING

    def _waiting(self, key: str) -> Path:
        return self._queue / f"{key}.json"

    def _failure(self, key: str) -> Path:
        return self._failed / f"{key}.json"

    def _wish(self, key: str, by: str) -> Path:
        # A hash, because the file stays a week: whose it is concerns nobody who looks.
        return self._wishes / f"{key}.{blake2b(by.encode(), digest_size=12).hexdigest()}.json"

    def _read_waiting(self, key: str) -> Waiting | None:
        try:
            return msgspec.json.decode(self._waiting(key).read_bytes(), type=Waiting)
        except FileNotFoundError:
            return None

    def _note(self, path: Path, waiting: Waiting) -> None:
        """Write a task of the queue anew, in its place there."""
        began = path.stat().st_mtime
        write_whole(path, waiting)
        os.utime(path, (began, began))

    @contextmanager
    def _wishing(self) -> Iterator[None]:
        """Let nobody else alter the queue: what one cancels another may be asking for.

        Raises:
            StoreError: there is no room, or the disk failed.
        """
        try:
            self.create()
            with (self.root / "wishes.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as exc:
            raise StoreError(f"prepared files cannot be written: {exc}") from exc


def _place(path: Path) -> float:
    """Return where a task is in the queue; in front when it was taken out at this moment."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
