"""A file somebody pushes at us: chunks in, a running SHA-256, nothing kept in memory.

New files are nameless until they are whole; a file that is pushed in parts has a name of its
own, and one request at a time may add to it. What is whole is ``landing``.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from connectors.arriving import is_still, locked, storing, write
from connectors.faults import reach
from ipregister.errors import LedgerConflict

REHASH_BYTES = 1 << 20


class Pushed:
    """What is here of one pushed file; its digest runs along where it began in this request."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Go on at the end of what is there."""
        self.path, self.descriptor = path, descriptor
        self.bytes = os.lseek(descriptor, 0, os.SEEK_END)
        self._digest = None if self.bytes else hashlib.sha256()

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open or begin a file that comes in parts.

        Raises:
            LedgerConflict: another request is adding to it.
        """
        with storing():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Who waits for the lock here could get a file that was stored or removed meanwhile.
            if not locked(descriptor) or not is_still(path, descriptor):
                raise LedgerConflict("another request is sending this file; ask for its offset")
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    def append(self, chunk: bytes) -> None:
        """Add what came.

        Raises:
            StoreError: there is no room, or the disk failed.
        """
        write(self.descriptor, chunk)
        reach("push.chunk")
        self.bytes += len(chunk)
        if self._digest is not None:
            self._digest.update(chunk)

    def settle(self) -> None:
        """Put on disk what is here, so that the offset told next is true after a power cut."""
        with storing():
            os.fsync(self.descriptor)
        reach("upload.settled")

    def cut(self, to: int) -> None:
        """Forget what is here beyond the first ``to`` bytes."""
        with storing():
            os.ftruncate(self.descriptor, to)
            os.lseek(self.descriptor, to, os.SEEK_SET)
        self.bytes, self._digest = to, None if to else hashlib.sha256()

    def sha256(self) -> str:
        """Return the digest (hex) of what is here; reads it again where it came in parts."""
        if self._digest is None:
            digest, at = hashlib.sha256(), 0
            while piece := os.pread(self.descriptor, REHASH_BYTES, at):
                digest.update(piece)
                at += len(piece)
            self._digest = digest
        return self._digest.hexdigest()
