"""A connection whose small writes go out together.

A server writes the head of an answer and then its body. Sent one by one, each costs a system call
and wakes the reader, the first time for nothing it could use.
"""

import asyncio
from typing import Any

MOST_HELD_BYTES = 65_536
"""More is sent at once."""


class GatheredWrites:
    """A transport that holds what is written until it is told, or the loop has gone round."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to ``transport``; everything else is its affair."""
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0
        self.is_closing = transport.is_closing  # asked for every request

    def __getattr__(self, name: str) -> Any:
        """Return what the transport has of this name."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send bytes, a little later if they are few."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST_HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        held, size = self._held, self._size
        if not held:
            return
        self._held, self._size = [], 0
        if self.is_closing():  # the reader has gone: nobody is there to send it to
            return
        if size > MOST_HELD_BYTES:
            self._transport.writelines(held)
        else:  # one copy is cheaper than a list of buffers
            self._transport.write(b"".join(held))

    def get_write_buffer_size(self) -> int:
        """Return how many bytes were not taken yet."""
        return self._size + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Send what is held and close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held is lost."""
        self._held, self._size = [], 0
        self._transport.abort()
