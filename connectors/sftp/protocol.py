"""SFTP version 3 over an SSH channel: packets out, packets in, nothing else.

Only what a reader of other people's folders needs: open for reading, read, stat, list,
close. There is no code here that could write, rename or delete at an office. What stands in a
packet is ``packets``; when requests are sent, and how many at a time, ``downloads``; hosts and
keys are ``session``.
"""

import math
import struct
import time

import paramiko

from connectors.sftp.packets import U32, Limits, Op, Payload, Reader, text
from ipregister.errors import ExchangeError, OfficeRefused, OfficeUnreachable, OutOfTime

MAX_PACKET_BYTES = 4 * 1024 * 1024
"""Beyond this the other side does not speak SFTP; OpenSSH stays below 256 KiB."""

RECEIVE_BYTES = 64 * 1024
"""Taken at a time beyond what is needed: many small answers at once, little of a large one."""

_HEADER = struct.Struct(">IBI")


class Wire:
    """One SFTP conversation: numbered requests out, answers in, in any order.

    Args:
        channel: an open SSH channel with the ``sftp`` subsystem; closed by its owner.
        timeout_seconds: the longest wait for one complete answer. A server that trickles
            single bytes is as dead as one that sends none.
        budget_seconds: the longest time for everything.

    Raises:
        OfficeUnreachable: from every method, when the connection is lost or silent.
        OutOfTime: from every method, when the budget is used up.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        *,
        timeout_seconds: float,
        budget_seconds: float | None = None,
    ) -> None:
        """Agree on the version and ask for the server's limits."""
        self._channel = channel
        self._timeout = timeout_seconds
        self._budget = budget_seconds
        budget = math.inf if budget_seconds is None else budget_seconds
        self._ends_at = time.monotonic() + budget
        self._out = bytearray()
        self._in = b""
        self._at = 0
        self._number = 0
        self.limits = Limits()
        self.round_trip_seconds = 0.0
        self._greet()

    def request(self, op: Op, *fields: bytes) -> int:
        """Queue one request and return its number; ``flush`` or ``receive`` sends it."""
        self._number = (self._number + 1) & 0xFFFFFFFF
        payload = b"".join(fields)
        self._out += _HEADER.pack(len(payload) + 5, op, self._number) + payload
        return self._number

    def hurry(self) -> None:
        """Leave no more time than for one answer: what is still to come is of no interest."""
        self._ends_at = min(self._ends_at, time.monotonic() + self._timeout)

    def flush(self) -> None:
        """Send what is queued."""
        if not self._out:
            return
        data, self._out = bytes(self._out), bytearray()
        try:
            self._channel.settimeout(self._timeout)
            self._channel.sendall(data)
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise OfficeUnreachable(f"the SFTP connection was lost: {exc or 'closed'}") from exc

    def receive(self) -> tuple[int, int, Payload]:
        """Return the next answer: packet type, request number, payload."""
        length = self._length()
        start, self._at = self._at, self._at + 4 + length
        _, op, number = _HEADER.unpack_from(self._in, start)
        return op, number, memoryview(self._in)[start + _HEADER.size : self._at]

    def _length(self) -> int:
        """Return the length of the packet at the front, once all of it is there."""
        have = len(self._in) - self._at
        if have < 4:
            self.flush()
            self._fill(4)
        (length,) = U32.unpack_from(self._in, self._at)
        if not 5 <= length <= MAX_PACKET_BYTES:
            raise OfficeRefused(f"the server does not speak SFTP: a packet of {length} bytes")
        if len(self._in) - self._at < 4 + length:
            self.flush()
            self._fill(4 + length)
        return int(length)

    def _fill(self, wanted: int) -> None:
        """Read until ``wanted`` bytes are there."""
        parts = [self._in[self._at :]]
        have = len(parts[0])
        answer_by = time.monotonic() + self._timeout
        while have < wanted:
            try:
                if (left := min(answer_by, self._ends_at) - time.monotonic()) <= 0:
                    raise TimeoutError
                self._channel.settimeout(left)
                part = self._channel.recv(max(wanted - have, RECEIVE_BYTES))
            except TimeoutError as exc:
                raise self._too_late(answer_by) from exc
            except (paramiko.SSHException, OSError, EOFError) as exc:
                raise OfficeUnreachable(f"the SFTP connection was lost: {exc or 'closed'}") from exc
            if not part:
                raise OfficeUnreachable("the server closed the SFTP connection")
            parts.append(part)
            have += len(part)
        self._in, self._at = b"".join(parts), 0

    def _too_late(self, answer_by: float) -> ExchangeError:
        if self._ends_at < answer_by and self._budget is not None:
            return OutOfTime(f"the server was not done within {self._budget:.0f} s")
        return OfficeUnreachable(f"the server sent no complete answer within {self._timeout:g} s")

    def _greet(self) -> None:
        self._out += _HEADER.pack(5, Op.INIT, 3)
        op, version, payload = self.receive()
        if op != Op.VERSION or version < 3:
            raise OfficeRefused(f"the server speaks SFTP version {version}; version 3 is needed")
        extensions = Reader(payload)
        names = set()
        while not extensions.at_end():
            names.add(extensions.string())
            extensions.string()
        # Asked of a server that has no limits to tell, it still measures the line.
        asked_at = time.monotonic()
        if b"limits@openssh.com" in names:
            self.request(Op.EXTENDED, text("limits@openssh.com"))
        else:
            self.request(Op.REALPATH, text("."))
        op, _, payload = self.receive()
        if op == Op.EXTENDED_REPLY:
            self.limits = Reader(payload).limits()
        self.round_trip_seconds = time.monotonic() - asked_at
