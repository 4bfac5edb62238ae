"""How often an SQLite ledger was written, for every process of the host to see without asking it.

Two numbers in a small mapped file beside the ledger: the commit that was begun last, and one
that is done. Nobody can commit without moving the first, so whatever was looked up while both
were the same holds until it moves. Lost with the file: nothing. What is looked up is ``access``.
"""

import mmap
import os
import struct
from pathlib import Path

_NUMBERS = struct.Struct("<QQ")
_NUMBER = struct.Struct("<Q")


class Commits:
    """The commits of one ledger; safe to share between threads and processes."""

    def __init__(self, ledger: Path) -> None:
        """Map the file beside ``ledger``, which is made when it is not there."""
        path = ledger.with_name(f"{ledger.name}-commits")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Writing to a page for which a full disk has no room kills the process.
        os.posix_fallocate(self._file, 0, _NUMBERS.size)
        self._map = mmap.mmap(self._file, _NUMBERS.size)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()
        os.close(self._file)

    @property
    def begun(self) -> int:
        """Return the number of the commit begun last."""
        (number,) = _NUMBER.unpack_from(self._map)
        return int(number)

    @property
    def settled(self) -> int | None:
        """Return the number of the last commit when it is done, ``None`` where one is not.

        After a process was killed in the midst of one, that is so until the next is done.
        """
        # The first is read first: what is done by then is seen by whoever looks afterwards.
        begun, done = self.begun, _NUMBER.unpack_from(self._map, _NUMBER.size)[0]
        return begun if begun == done else None

    def begin(self) -> int:
        """Count a commit, with the ledger's write lock in hand; return its number for ``end``."""
        number = self.begun + 1  # nobody else has the lock
        _NUMBER.pack_into(self._map, 0, number)
        return number

    def end(self, number: int) -> None:
        """Note that a commit is done: whoever looks now sees it."""
        # The lock is gone: where another was begun and done meanwhile, its number is lost and
        # nothing counts as settled until the next. Then everybody asks the ledger.
        _NUMBER.pack_into(self._map, _NUMBER.size, number)
