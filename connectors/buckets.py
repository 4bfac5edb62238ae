"""Token buckets that all workers of a host share: one small mapped file, a lock per set.

A bucket has two levels, which refill over time up to their capacity and may be overdrawn. The
file never grows: a name hashes to a set of slots, and a new name takes the place of the one
longest unused. Nothing here is worth keeping: a lost file means full buckets. What is counted
and what happens when a bucket is empty is the callers' affair.
"""

import fcntl
import mmap
import os
import struct
import threading
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

SLOT = struct.Struct("<16sddd")
"""Name, instant of the last change, two levels."""

WAYS = 8
"""Slots of a set; more would be read for every name, fewer would evict busy names."""

EMPTY = bytes(16)

Pair = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """Capacity and refill of both levels of a bucket."""

    capacity: Pair
    per_second: Pair


class Buckets:
    """The buckets in one file; safe to share between threads and processes."""

    def __init__(self, path: Path, *, key: bytes, sets: int = 1024) -> None:
        """Map the file, which is made when it is not there.

        Args:
            path: the file; its directory exists.
            key: a secret: whoever does not know it cannot aim at another name's set.
            sets: how many; each is ``WAYS`` slots of 40 bytes.
        """
        self._key = key[:64]
        self._sets = sets
        self._lock = threading.Lock()
        size = sets * WAYS * SLOT.size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.truncate(self._file, size)
        self._map = mmap.mmap(self._file, size)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()
        os.close(self._file)

    def name(self, text: str) -> bytes:
        """Return the name under which ``take`` finds the bucket of ``text``."""
        return blake2b(text.encode("utf-8", "replace"), digest_size=16, key=self._key).digest()

    def take(
        self, name: bytes, rate: Rate, now: float, *, needed: Pair, taken: Pair
    ) -> tuple[bool, Pair]:
        """Take from a bucket when both levels hold what is needed.

        Args:
            name: of the bucket, by ``name``.
            rate: its capacity and refill.
            now: seconds.
            needed: least levels.
            taken: how much to take then; negative gives back.

        Returns:
            Whether it was taken, and the levels afterwards.
        """
        chosen = int.from_bytes(name[:4], "little") % self._sets
        with self._lock:
            # Byte ranges are locked per process, hence the lock for threads around it.
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, chosen)
            try:
                return self._take(chosen * WAYS * SLOT.size, name, rate, now, needed, taken)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, chosen)

    def _take(
        self, start: int, name: bytes, rate: Rate, now: float, needed: Pair, taken: Pair
    ) -> tuple[bool, Pair]:
        offset, found = self._find(start, name)
        first, second = rate.capacity
        if found:
            _, stamp, level0, level1 = SLOT.unpack_from(self._map, offset)
            passed = max(0.0, now - stamp)  # a clock that is set back refills nothing
            first = min(first, level0 + passed * rate.per_second[0])
            second = min(second, level1 + passed * rate.per_second[1])
        enough = first >= needed[0] and second >= needed[1]
        if enough:
            # An overdraft is bounded: after at most two windows everybody is served again.
            first = max(min(first - taken[0], rate.capacity[0]), -rate.capacity[0])
            second = max(min(second - taken[1], rate.capacity[1]), -rate.capacity[1])
        SLOT.pack_into(self._map, offset, name, now, first, second)
        return enough, (first, second)

    def _find(self, start: int, name: bytes) -> tuple[int, bool]:
        """Return the slot of a name, or the one it may have: a free or the oldest one."""
        oldest, age = start, float("inf")
        for offset in range(start, start + WAYS * SLOT.size, SLOT.size):
            held = self._map[offset : offset + 16]
            if held == name:
                return offset, True
            stamp = 0.0 if held == EMPTY else struct.unpack_from("<d", self._map, offset + 16)[0]
            if stamp < age:
                oldest, age = offset, stamp
        return oldest, False
