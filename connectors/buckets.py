"""Token buckets that all workers of a host share: one small mapped file, a lock per set.

A bucket has two levels, which refill over time up to their capacity and may be overdrawn. The
file never grows: a name hashes to a set of slots, and a new name takes the place of the one
longest unused. Nothing here is worth keeping: a lost file means full buckets. What is counted
and what happens when a bucket is empty is the callers' affair.
"""

import mmap
import os
import struct
import threading
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_UN, lockf
from hashlib import blake2b
from pathlib import Path

SLOT = struct.Struct("<16sddd")
"""Name, instant of the last change, two levels."""

WAYS = 8
"""Slots of a set; more would be read for every name, fewer would evict busy names."""

EMPTY = bytes(16)

Pair = tuple[float, float]
Slot = tuple[bytes, float, float, float]


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
        # Writing to a page for which a full disk has no room kills the process.
        os.posix_fallocate(self._file, 0, size)
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
            lockf(self._file, LOCK_EX, 1, chosen)
            try:
                offset, held = self._find(chosen, name)
                first, second = rate.capacity if held is None else _refilled(held, rate, now)
                enough = first >= needed[0] and second >= needed[1]
                if enough:
                    first = _within(first - taken[0], rate.capacity[0])
                    second = _within(second - taken[1], rate.capacity[1])
                SLOT.pack_into(self._map, offset, name, now, first, second)
            finally:
                lockf(self._file, LOCK_UN, 1, chosen)
        return enough, (first, second)

    def _find(self, chosen: int, name: bytes) -> tuple[int, Slot | None]:
        """Return the slot of a name and what it holds, or the one it may have."""
        start = chosen * WAYS * SLOT.size
        oldest, age = start, float("inf")
        for offset in range(start, start + WAYS * SLOT.size, SLOT.size):
            slot: Slot = SLOT.unpack_from(self._map, offset)
            if slot[0] == name:
                return offset, slot
            stamp = 0.0 if slot[0] == EMPTY else slot[1]
            if stamp < age:
                oldest, age = offset, stamp
        return oldest, None


def _refilled(slot: Slot, rate: Rate, now: float) -> Pair:
    _, stamp, first, second = slot
    if now > stamp:  # a clock that is set back refills nothing
        first += (now - stamp) * rate.per_second[0]
        second += (now - stamp) * rate.per_second[1]
    return _within(first, rate.capacity[0]), _within(second, rate.capacity[1])


def _within(level: float, capacity: float) -> float:
    """Bound a level: an overdraft too, so that after two windows everybody is served again."""
    if level > capacity:
        return capacity
    return level if level > -capacity else -capacity
