"""Counts of what the API answered, per route: one small mapped file per worker, added up.

Numbers only, by position; a worker writes its own file without a lock and any worker reads
all. Files of workers that ended stay until the server starts again, so no count ever goes
down meanwhile. What the positions mean is the caller's.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

PREFIX = "answers-"
BYTES = 8
"""Of a number: a double counts exactly up to 2**53."""


class Counters:
    """The numbers of this worker, and the sums over all."""

    def __init__(self, folder: Path | None, size: int, layout: str) -> None:
        """Count from nothing.

        Args:
            folder: where the workers of a host keep their files; without one, memory.
            size: how many numbers.
            layout: tells whose numbers mean the same.
        """
        self._folder, self._layout = folder, layout
        self._size = size * BYTES
        if folder is None:
            self._map = mmap.mmap(-1, self._size)
        else:
            path = folder / f"{PREFIX}{layout}-{os.getpid()}"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Writing to a page for which a full disk has no room kills the process.
            os.posix_fallocate(file, 0, self._size)
            self._map = mmap.mmap(file, self._size)
            os.close(file)
        self.mine = memoryview(self._map).cast("d")

    def totals(self) -> list[float]:
        """Return the sums over all workers of this layout."""
        totals = list(self.mine) if self._folder is None else [0.0] * len(self.mine)
        for numbers in self._files():
            totals = [total + number for total, number in zip(totals, numbers, strict=True)]
        return totals

    def _files(self) -> Iterator[Sequence[float]]:
        if self._folder is None:
            return
        for path in sorted(self._folder.glob(f"{PREFIX}{self._layout}-*")):
            with suppress(FileNotFoundError):  # the server was started again just now
                data = path.read_bytes()
                if len(data) == self._size:
                    yield memoryview(data).cast("d")


def forget(folder: Path) -> None:
    """Take away what former workers counted; before the first new one starts."""
    for path in folder.glob(f"{PREFIX}*"):
        path.unlink(missing_ok=True)
