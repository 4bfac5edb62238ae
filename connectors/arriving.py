"""A large file on its way into the landing zone: what came of it outlasts the connection.

The bytes lie in a file of their own beside a note: how many of them are safe on disk, and
their SHA-256. Only what the note vouches for is ever gone on with, so neither a crash nor a
power cut leaves a hole in the middle. What is whole is ``landing``.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, Self

from ipregister.errors import HubError, IncompleteDelivery, StoreError

NOTE = ".note"

NOTED_EVERY_BYTES = 64 << 20
"""What a crash costs at most; an fsync each 64 MiB is not felt beside the disk's own work."""

OVERLAP_BYTES = 64 << 10
"""Fetched again and compared before going on: another file of the same size and time is seen."""

REHASH_BYTES = 1 << 20


class Readable(Protocol):
    """Anything bytes can be read from, a file or a network stream."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        ...


class Arriving:
    """What is here of one large file, and its running digest; held by one process at a time."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take up what the note vouches for; use ``open``."""
        self.path = path
        self.descriptor = descriptor
        self.bytes = 0
        self._note = path.with_name(path.name + NOTE)
        self._digest = hashlib.sha256()
        self._take_up()

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Open or begin the part in ``path``; one without bytes does not stay.

        Raises:
            IncompleteDelivery: another process has it open.
        """
        with storing():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Who waits for the lock here could get a file that was stored or removed meanwhile.
            if not locked(descriptor) or not is_still(path, descriptor):
                raise IncompleteDelivery("another process of the hub is fetching this file")
            arriving = cls(path, descriptor)
            try:
                yield arriving
            finally:
                arriving._leave()
        finally:
            os.close(descriptor)

    @property
    def sha256(self) -> str:
        """Return the digest (hex) of what is here."""
        return self._digest.hexdigest()

    @property
    def resumes_at(self) -> int:
        """Return the byte from which the rest is to be fetched: a little before the end."""
        return max(0, self.bytes - OVERLAP_BYTES)

    def receive(self, source: Readable, chunk_bytes: int) -> None:
        """Append what comes; what came is kept where the source fails, not where it differs."""
        self._compare(source)
        noted = self.bytes
        try:
            while chunk := source.read(chunk_bytes):
                write(self.descriptor, chunk)
                self._digest.update(chunk)
                self.bytes += len(chunk)
                if self.bytes - noted >= NOTED_EVERY_BYTES:
                    self._note_down()
                    noted = self.bytes
        except (StoreError, IncompleteDelivery):
            # No room, or another file by now: what came is of no use.
            self.discard()
            raise
        except HubError:
            self._note_down()
            raise

    def discard(self) -> None:
        """Forget what is here."""
        self.bytes, self._digest = 0, hashlib.sha256()
        self._note.unlink(missing_ok=True)
        with suppress(OSError):
            os.ftruncate(self.descriptor, 0)

    def _compare(self, source: Readable) -> None:
        """Read what overlaps and leave the file where the rest is to be written."""
        at = self.resumes_at
        while at < self.bytes:
            piece = source.read(self.bytes - at)
            if not piece or os.pread(self.descriptor, len(piece), at) != piece:
                self.discard()
                raise IncompleteDelivery(
                    "the file is not the one that was begun; it is read again from its start"
                )
            at += len(piece)
        os.lseek(self.descriptor, self.bytes, os.SEEK_SET)

    def _take_up(self) -> None:
        try:
            note = json.loads(self._note.read_text("utf-8"))
            wanted, sha256 = int(note["bytes"]), str(note["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            wanted, sha256 = 0, self.sha256
        while self.bytes < wanted:
            size = min(REHASH_BYTES, wanted - self.bytes)
            if not (piece := os.pread(self.descriptor, size, self.bytes)):
                break
            self._digest.update(piece)
            self.bytes += len(piece)
        if self.sha256 != sha256:
            self.discard()
        with storing():
            os.ftruncate(self.descriptor, self.bytes)

    def _note_down(self) -> None:
        """Vouch for what is here: first the bytes, then the note, each whole or not at all."""
        text = json.dumps({"bytes": self.bytes, "sha256": self.sha256})
        arriving = self._note.with_name(f".arriving-{self._note.name}")
        with storing():
            os.fsync(self.descriptor)
            arriving.write_text(text, "utf-8")
            arriving.replace(self._note)

    def _leave(self) -> None:
        """Remove the note of a file that was stored, and a file without bytes."""
        if not is_still(self.path, self.descriptor):
            self._note.unlink(missing_ok=True)
        elif not self._note.exists():
            self.path.unlink(missing_ok=True)


@contextmanager
def storing() -> Iterator[None]:
    """Say what a failing disk means."""
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"the landing zone cannot be written: {exc.strerror}. Nothing is lost: make room on"
            " the hub's disk, or let the hub's user write there, then collect or submit again."
        ) from exc


def write(descriptor: int, data: bytes) -> None:
    """Write all of ``data``.

    Raises:
        StoreError: there is no room, or the disk failed.
    """
    view = memoryview(data)
    with storing():
        while view:
            view = view[os.write(descriptor, view) :]


def locked(descriptor: int) -> bool:
    """Lock an open file for this process, unless another one holds it; tell whether."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the open file is the one at ``path``."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)
