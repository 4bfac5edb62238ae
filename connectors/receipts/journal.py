"""The journal of reads: every answer with records is written down before it is sent.

One append-only file per process and day. A receipt is in the operating system's hands before
its answer leaves, so a killed process loses none; it is on disk a second later, so a power cut
loses at most that second. Days that are over are sealed (``sealing``); asking is ``reading``.
Receipts name records by identifier and never hold what is in them.
"""

import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile

import msgspec

from connectors.ledger.columns import from_microseconds
from ipregister.errors import StoreError

SYNC_SECONDS = 1.0
"""How long written receipts may wait for the disk; an fsync per answer would cost more than it."""

PROBE_BYTES = 1 << 16
"""Room for the receipts of a page of records, and some."""

SECOND = 1_000_000
DAY = 86_400 * SECOND
"""Microseconds; days are of UTC, so all of them are as long."""

_FRAME = struct.Struct(">II")
"""Length of a receipt in bytes, CRC-32 of it."""


class Route(StrEnum):
    """By which way records left."""

    RECORD = "record"
    PAGE = "page"
    CHANGES = "changes"
    STREAM = "stream"
    SNAPSHOT = "snapshot"
    DELTA_SHARING = "delta_sharing"


class Receipt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one answer gave of one office and right.

    ``at`` is in microseconds since 1970. ``records`` were handed over, ``retracted`` had to be
    dropped or were deleted; a file made before names its ``snapshot`` instead. ``classes`` are
    the bits of the disclosure classes open to the reader (``serving.rows.BITS``), ``version``
    that of the authorization. ``came_with`` and ``left_with`` are digests of the feed's cursors:
    who comes with the cursor an answer left with has done what that answer said.
    """

    at: int
    requestId: str
    clientId: str
    thirdParty: str
    office: str
    right: str
    route: Route
    version: int
    classes: int
    records: Sequence[str] = ()
    retracted: Sequence[str] = ()
    snapshot: str = ""
    came_with: bytes = b""
    left_with: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Receipt).decode


def cursor_digest(cursor: str) -> bytes:
    """Return what a receipt keeps of a cursor."""
    return blake2b(cursor.encode(), digest_size=8).digest() if cursor else b""


class Journal:
    """Where one process writes its receipts; safe to share between its threads."""

    def __init__(self, root: Path) -> None:
        """Write below ``root``; a file is made with the first receipt of a day."""
        self.root = root
        self._lock = threading.Lock()
        self._day = self._looked = -1
        self._descriptor = -1
        self._size = 0
        self._failed = False
        self._sync: threading.Timer | None = None

    def append(self, *receipts: Receipt) -> None:
        """Write receipts down, all or none.

        Raises:
            StoreError: they cannot be written; the answer must not be given.
        """
        data = b"".join([_framed(_encode(receipt)) for receipt in receipts])
        if not data:
            return
        with self._lock:
            try:
                self._open(receipts[0].at)
                self._write(data)
            except OSError as exc:
                self._failed = True
                raise StoreError(f"access receipts cannot be written: {exc.strerror}") from exc
            self._failed = False
            if self._sync is None:
                self._sync = threading.Timer(SYNC_SECONDS, self._synchronise)
                self._sync.daemon = True
                self._sync.start()

    def check(self) -> None:
        """Look again whether there is room, when a receipt could not be written.

        Raises:
            StoreError: there is none.
        """
        if not self._failed:
            return
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with TemporaryFile(dir=self.root) as probe:
                probe.write(bytes(PROBE_BYTES))
                probe.flush()
        except OSError as exc:
            raise StoreError(f"access receipts cannot be written: {exc.strerror}") from exc
        self._failed = False

    def close(self) -> None:
        """Bring everything to disk and close the file."""
        with self._lock:
            if self._sync is not None:
                self._sync.cancel()
                self._sync = None
            self._close()

    def _open(self, at: int) -> None:
        day, second = at // DAY, at // SECOND
        # A clock that was ahead for a while may have had this day sealed and the file removed.
        if day == self._day and (second == self._looked or os.fstat(self._descriptor).st_nlink):
            self._looked = second
            return
        self._close()
        folder = journals(self.root)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A name of its own for every process: nobody else ever writes into this file.
        name = f"{from_microseconds(at):%Y-%m-%d}"
        path = folder / f"{name}.{os.getpid()}-{secrets.token_hex(4)}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._day, self._looked, self._size = day, second, 0

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            self._take_back()
            raise
        if written != len(data):  # the disk is full
            self._take_back()
            raise OSError(0, "only a part could be written")
        self._size += written

    def _take_back(self) -> None:
        """Cut off a receipt that is there in part: what follows must be readable.

        Where even that fails, nothing more is written into this file.
        """
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            os.close(self._descriptor)
            self._descriptor = self._day = -1

    def _synchronise(self) -> None:
        with self._lock:
            self._sync = None
            if self._descriptor >= 0:
                os.fdatasync(self._descriptor)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)
            os.close(self._descriptor)
        self._descriptor, self._day = -1, -1


def journals(root: Path) -> Path:
    """Return the folder of the journals that are not sealed yet."""
    return root / "journal"


def day_of(journal: Path) -> datetime:
    """Return the day (UTC, its first instant) a journal is of."""
    return datetime.fromisoformat(journal.name.partition(".")[0]).replace(tzinfo=UTC)


def read_journal(path: Path) -> Iterator[Receipt]:
    """Yield the receipts of one journal, also while it is being written.

    A receipt that is there in part ends it: its process was killed before its answer left.
    """
    data = path.read_bytes()
    place = 0
    while place + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, place)
        body = data[place + _FRAME.size : place + _FRAME.size + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        yield _decode(body)
        place += _FRAME.size + length


def _framed(body: bytes) -> bytes:
    return _FRAME.pack(len(body), zlib.crc32(body)) + body
