"""One remote file: as a listing saw it, and on its way.

A download hands out the bytes of one file in order, however they arrive. Which bytes are asked
for, and when, is ``downloads``.
"""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ipregister.errors import ExchangeError, IncompleteDelivery


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A regular file as a listing saw it: path, bytes, seconds since 1970 by their clock."""

    path: str
    size: int
    mtime: int

    @property
    def listed(self) -> tuple[str, int, int]:
        """Return what the ledger remembers it by."""
        return self.path, self.size, self.mtime


class Download:
    """One file on its way; read it like a file, in pieces, from start to end.

    ``sha256`` is the running digest of what has been read so far, where it was asked for.
    """

    def __init__(self, file: RemoteFile, start: int, hashed: bool) -> None:
        """Begin at byte ``start``; only :func:`fetch` makes downloads."""
        self.file = file
        self.position = start
        self.sha256 = hashlib.sha256() if hashed else None
        self.handle: bytes | None = None
        self.next_offset = start
        self.arrived = start
        self.reads = 0
        self.early: dict[int, bytes] = {}
        self.ready: deque[bytes] = deque()
        self.checking = self.checked = False
        self.abandoned = False
        self.is_open = False
        self.error: ExchangeError | IncompleteDelivery | None = None
        self.advance: Callable[[], None] = nothing_more
        self.release: Callable[[int], None] = ignore

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most ``size``; empty at the proven end of the file.

        Raises:
            IncompleteDelivery: the file changed or went away while it was read.
            OfficeRefused: the server does not let us read it.
            OfficeUnreachable: the connection was lost.
        """
        while not self.ready:
            if self.error is not None:
                raise self.error
            if self.arrived == self.file.size and self.checked:
                return b""
            self.advance()
        if size < 0:
            return b"".join(iter(lambda: self.read(self.file.size), b""))
        piece = self.ready.popleft()
        if len(piece) > size:
            self.ready.appendleft(piece[size:])
            piece = piece[:size]
        self.position += len(piece)
        self.release(len(piece))
        if self.sha256 is not None:
            self.sha256.update(piece)
        return piece

    def accept(self, offset: int, data: bytes) -> None:
        """Take one piece; pieces may arrive in any order, they leave in the file's order."""
        self.early[offset] = data
        while (piece := self.early.pop(self.arrived, None)) is not None:
            self.ready.append(piece)
            self.arrived += len(piece)


def nothing_more() -> None:
    """Refuse to go on: the download was left, or never begun."""
    raise ValueError("read of a download that was left for the next one")


def ignore(size: int) -> None:
    """Account for nothing."""
    del size
