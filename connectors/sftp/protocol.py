"""SFTP version 3 over an SSH channel: packets out, packets in, nothing else.

Only what a reader of other people's folders needs: open for reading, read, stat, list,
close. There is no code here that could write, rename or delete at an office. When requests
are sent, and how many at a time, is ``downloads``; hosts and keys are ``session``.

Standard: draft-ietf-secsh-filexfer-02 (SFTP v3) and OpenSSH's ``limits@openssh.com``.
"""

import math
import stat
import struct
import time
from dataclasses import dataclass
from enum import IntEnum

import paramiko

from ipregister.errors import (
    ExchangeError,
    IncompleteDelivery,
    OfficeRefused,
    OfficeUnreachable,
    OutOfTime,
)

SAFE_READ_BYTES = 32_768
"""What every server answers (the draft asks for at least this much)."""
MAX_READ_BYTES = 261_120
"""The most OpenSSH answers; larger reads cost fewer packets but no server gives them."""

MAX_PACKET_BYTES = 4 * 1024 * 1024
"""Beyond this the other side does not speak SFTP; OpenSSH stays below 256 KiB."""

RECEIVE_BYTES = 64 * 1024
"""Taken at a time beyond what is needed: many small answers at once, little of a large one."""

Payload = bytes | memoryview
"""An answer's fields; a view, because copying a quarter of a megabyte twice is felt."""

_HEADER = struct.Struct(">IBI")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


class Op(IntEnum):
    """Packet types of SFTP v3 that a reader sends or receives."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    LSTAT = 7
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REALPATH = 16
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Status(IntEnum):
    """Status codes that change what the reader does; all others are plain failures."""

    OK = 0
    END_OF_FILE = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the server says of a file: bytes, POSIX mode, seconds since 1970 UTC.

    ``mode`` is ``None`` where the server does not tell what kind of file it is.
    """

    size: int
    mode: int | None
    mtime: int

    @property
    def is_folder(self) -> bool:
        """Tell whether this is a folder."""
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Tell whether this is a regular file, not a link, device or pipe."""
        return self.mode is not None and stat.S_ISREG(self.mode)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server allows: bytes of one read, handles open at once (0: not said)."""

    read_bytes: int = SAFE_READ_BYTES
    open_handles: int = 0


class Reader:
    """Takes one packet's payload apart, field by field."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: Payload) -> None:
        """Start at the first byte after type and request number."""
        self._data = data
        self._at = 0

    def u32(self) -> int:
        """Return the next 32-bit number."""
        value = self._number(_U32)
        self._at += 4
        return value

    def u64(self) -> int:
        """Return the next 64-bit number."""
        value = self._number(_U64)
        self._at += 8
        return value

    def string(self) -> bytes:
        """Return the next string's bytes."""
        length = self.u32()
        end = self._at + length
        if end > len(self._data):
            raise OfficeRefused("the server's answer is shorter than it says")
        value = bytes(self._data[self._at : end])
        self._at = end
        return value

    def path(self) -> str:
        """Return the next string as a path; bytes that are not UTF-8 survive as surrogates."""
        return self.string().decode("utf-8", "surrogateescape")

    def attributes(self) -> Attributes:
        """Return the next file attributes."""
        flags = self.u32()
        size = self.u64() if flags & 0x1 else 0
        if flags & 0x2:
            self._at += 8
        mode = self.u32() if flags & 0x4 else None
        mtime = 0
        if flags & 0x8:
            self._at += 4
            mtime = self.u32()
        if flags & 0x80000000:
            for _ in range(self.u32()):
                self.string()
                self.string()
        return Attributes(size, mode, mtime)

    def _number(self, shape: struct.Struct) -> int:
        try:
            (value,) = shape.unpack_from(self._data, self._at)
        except struct.error as exc:
            raise OfficeRefused("the server's answer is shorter than it says") from exc
        return int(value)

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self._at >= len(self._data)


def text(value: str | bytes) -> bytes:
    """Return a string as it goes on the wire; ``path`` reads it back unchanged."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return _U32.pack(len(data)) + data


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
        (length,) = _U32.unpack_from(self._in, self._at)
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
            self.limits = _limits(Reader(payload))
        self.round_trip_seconds = time.monotonic() - asked_at


def _limits(reader: Reader) -> Limits:
    packet_bytes, read_bytes, _, open_handles = (reader.u64() for _ in range(4))
    offered = read_bytes or (packet_bytes - 1024 if packet_bytes else SAFE_READ_BYTES)
    return Limits(max(1024, min(offered, MAX_READ_BYTES)), open_handles)


def raise_for_status(payload: Payload, path: str) -> None:
    """Raise what a status answer about ``path`` means; return where it is ``OK``.

    Raises:
        IncompleteDelivery: the file is not there any more (renamed or removed meanwhile).
        OfficeRefused: the server does not let us.
    """
    reader = Reader(payload)
    code = reader.u32()
    if code == Status.OK:
        return
    if code == Status.NO_SUCH_FILE:
        raise IncompleteDelivery(f"{path!r} is no longer there")
    if code == Status.PERMISSION_DENIED:
        raise OfficeRefused(f"the server does not let the hub read {path!r}")
    said = reader.string().decode("utf-8", "replace") if not reader.at_end() else ""
    raise OfficeRefused(f"the server failed on {path!r}: {said or code}")
