"""What arrived on an SSH channel and was not read yet, kept in the pieces it came in.

Paramiko's own buffer copies every byte three times on its way through one growing array, which
took a third of the processor time of a large file. What the bytes mean is ``protocol``.
"""

import threading
import time
from collections import deque

from paramiko.buffered_pipe import BufferedPipe, PipeTimeout


class Inflow(BufferedPipe):  # type: ignore[type-arg]  # generic only in its stubs
    """A channel's buffer of incoming bytes; filled by one thread, read by another."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._ended = False
        self._told: threading.Event | None = None

    def __len__(self) -> int:
        """Return how many bytes wait."""
        return self._waiting_bytes

    def set_event(self, event: threading.Event) -> None:
        """Have an event set while a read would return at once."""
        with self._changed:
            self._told = event
            self._tell()

    def feed(self, data: bytes | str) -> None:
        """Add what came."""
        piece = data.encode() if isinstance(data, str) else data
        with self._changed:
            self._pieces.append(memoryview(piece))
            self._waiting_bytes += len(piece)
            self._tell()
            self._changed.notify_all()

    def read_ready(self) -> bool:
        """Tell whether something waits."""
        return self._waiting_bytes > 0

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes, at most ``nbytes``; none when the channel is closed.

        Raises:
            PipeTimeout: nothing came within ``timeout`` seconds.
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._waiting_bytes and not self._ended:
                left = None if ends_at is None else ends_at - time.monotonic()
                if left is not None and left <= 0:
                    raise PipeTimeout
                self._changed.wait(left)
            return self._take(nbytes)

    def empty(self) -> bytes:
        """Take everything that waits."""
        with self._changed:
            return self._take(self._waiting_bytes)

    def close(self) -> None:
        """Let readers have what waits, and then nothing."""
        with self._changed:
            self._ended = True
            self._tell()
            self._changed.notify_all()

    def _tell(self) -> None:
        if self._told is None:
            return
        if self._waiting_bytes or self._ended:
            self._told.set()
        else:
            self._told.clear()

    def _take(self, nbytes: int) -> bytes:
        taken = []
        while nbytes and self._pieces:
            piece = self._pieces.popleft()
            if len(piece) > nbytes:
                self._pieces.appendleft(piece[nbytes:])
                piece = piece[:nbytes]
            taken.append(piece)
            nbytes -= len(piece)
            self._waiting_bytes -= len(piece)
        self._tell()
        return b"".join(taken)
