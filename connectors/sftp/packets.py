"""What stands in the packets of SFTP version 3: their types, numbers, texts and attributes.

Standard: draft-ietf-secsh-filexfer-02 (SFTP v3) and OpenSSH's ``limits@openssh.com``.
"""

import stat
import struct
from dataclasses import dataclass
from enum import IntEnum

from ipregister.errors import IncompleteDelivery, OfficeRefused

SAFE_READ_BYTES = 32_768
"""What every server answers (the draft asks for at least this much)."""
MAX_READ_BYTES = 261_120
"""The most OpenSSH answers; larger reads cost fewer packets but no server gives them."""

Payload = bytes | memoryview
"""An answer's fields; a view, because copying a quarter of a megabyte twice is felt."""

U32 = struct.Struct(">I")
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
        value = self._number(U32)
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

    def limits(self) -> Limits:
        """Return what an answer to ``limits@openssh.com`` allows."""
        packet_bytes, read_bytes, _, open_handles = (self.u64() for _ in range(4))
        offered = read_bytes or (packet_bytes - 1024 if packet_bytes else SAFE_READ_BYTES)
        return Limits(max(1024, min(offered, MAX_READ_BYTES)), open_handles)

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
    return U32.pack(len(data)) + data


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
