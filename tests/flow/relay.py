"""A TCP relay between client and server that does what networks do: cut, stall, trickle, delay.

What it does is set per relay and counts from the server to the client, over all connections
one after the other, so that a client that comes back meets the next fault. Nothing here is part
of the hub.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST, as a router does that lost its state."""


@dataclass
class Faults:
    """What goes wrong on the way to the client; what is left empty does not.

    Attributes:
        reset_after: bytes of one connection after which it is reset; one entry a connection,
            in the order they are made.
        stall_after: bytes of one connection after which nothing more comes.
        bytes_per_second: how fast the rest comes after ``stall_after`` (or from the start).
        refuse: connections are closed at once.
    """

    reset_after: list[int] = field(default_factory=list)
    stall_after: int | None = None
    bytes_per_second: float | None = None
    refuse: bool = False


class Relay:
    """A listening relay, as a context manager."""

    def __init__(self, target: int, faults: Faults | None = None) -> None:
        """Relay to ``127.0.0.1:target``."""
        self.target = target
        self.faults = faults or Faults()
        self.connections = 0
        self.stalled = threading.Event()
        self._ended = threading.Event()
        self._flows = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close everything."""
        self._ended.set()
        self._flows.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in [self._listener, *self._sockets]:
            each.close()

    def go_on(self) -> None:
        """End the stall; nothing stalls from now on."""
        self.faults.stall_after = self.faults.bytes_per_second = None
        self._flows.set()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended.is_set():
                client, _ = self._listener.accept()
                self.connections += 1
                if self.faults.refuse:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self.target))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                cut = self.faults.reset_after.pop(0) if self.faults.reset_after else None
                self._start(self._to_server, client, server)
                self._start(self._to_client, server, client, cut)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _to_client(self, server: socket.socket, client: socket.socket, cut: int | None) -> None:
        passed = 0
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if cut is not None and passed + len(data) >= cut:
                    client.sendall(data[: cut - passed])
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    # A reset takes what nobody has read yet: give the client a moment to read.
                    self._ended.wait(0.05)
                    # Only the last user's close is a close, and the other thread waits in recv.
                    client.shutdown(socket.SHUT_RD)
                    server.shutdown(socket.SHUT_RDWR)
                    client.close()
                    return
                passed = self._pass_on(client, data, passed)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, client: socket.socket, data: bytes, passed: int) -> int:
        """Send what came as fast as the faults allow; return the bytes of this connection."""
        free, slow = self.faults.stall_after, self.faults.bytes_per_second
        whole = len(data) if free is None and slow is None else max(0, (free or 0) - passed)
        client.sendall(data[:whole])
        if whole < len(data):
            self.stalled.set()
            if slow is None:
                self._flows.wait()
                client.sendall(data[whole:])
            for position in range(whole, len(data) if slow else 0):
                self._flows.wait(1 / slow)
                client.sendall(data[position : position + 1])
        return passed + len(data)
