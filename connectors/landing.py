"""Immutable landing zone: what an office sent, exactly as it was sent.

Files are stored once, under the SHA-256 of their bytes, and never changed or deleted here.
Nothing in this module looks inside a file. What is only half here is ``arriving``.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from connectors.arriving import NOTE, Arriving, Readable, is_still, locked, storing, write
from connectors.faults import reach
from connectors.pushed import Pushed

CHUNK_BYTES = 1 << 20

KEPT_FOR = timedelta(days=14)
"""A part of a large file outlasts a server that is down for a week, with time to spare."""


@dataclass(frozen=True, slots=True)
class Landed:
    """One stored file: its address (hex SHA-256), its size in bytes and where it is."""

    sha256: str
    bytes: int
    path: Path


class Landing:
    """The landing zone in one directory."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, which is created when the first file arrives."""
        self.root = root

    def put(self, source: Readable) -> Landed:
        """Store a stream and return its address; the same bytes again change nothing.

        The bytes are on disk (fsync) before the file has its name, so a crash leaves either
        the whole file or a nameless one that ``sweep`` removes.

        Raises:
            StoreError: there is no room, or the disk failed; nothing is left behind.
        """
        digest, size = hashlib.sha256(), 0
        with self._nameless() as (descriptor, arriving):
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                write(descriptor, chunk)
                reach("landing.chunk")
            return self._store(descriptor, arriving, digest.hexdigest(), size)

    def put_file(self, path: Path) -> Landed:
        """Store a local file."""
        with path.open("rb") as source:
            return self.put(source)

    @contextmanager
    def arriving(self, key: str) -> Iterator[Arriving]:
        """Lend the part of a large file that is here, for ``go_on``; nobody else gets it.

        Args:
            key: names the file as it is on the server (its version, not only its path); what
                may stand in a file name.

        Raises:
            IncompleteDelivery: another process is fetching this file.
        """
        with storing():
            self.root.mkdir(parents=True, exist_ok=True)
        with Arriving.open(self._part(key)) as arriving:
            yield arriving

    def go_on(self, source: Readable, arriving: Arriving) -> Landed:
        """Store a large file from where it stopped; what came stays when it stops again.

        Args:
            source: the file's bytes from ``arriving.resumes_at`` to its end.
            arriving: what is here of it.

        Raises:
            IncompleteDelivery: the bytes there are not the ones fetched before.
            StoreError: there is no room, or the disk failed; the part is removed.
        """
        arriving.receive(source, CHUNK_BYTES)
        return self._store(arriving.descriptor, arriving.path, arriving.sha256, arriving.bytes)

    def has_part(self, key: str) -> bool:
        """Tell whether a part of this file is here."""
        return self._part(key).exists()

    def forget_parts(self, prefix: str, wanted: Collection[str]) -> None:
        """Remove the parts whose key begins with ``prefix`` and is not ``wanted`` any more."""
        keep = {self._part(key) for key in wanted}
        for part in self.root.glob(f"{self._part(prefix).name}*"):
            if _of_note(part) not in keep:
                _remove(part)

    @contextmanager
    def receiving(self) -> Iterator[Pushed]:
        """Lend a new file for bytes that are pushed; ``keep`` it, or it is gone afterwards."""
        with self._nameless() as (descriptor, arriving):
            yield Pushed(arriving, descriptor)

    @contextmanager
    def resuming(self, key: str) -> Iterator[Pushed]:
        """Lend what is here of a file that is pushed in parts; ``keep`` it when it is whole.

        Raises:
            LedgerConflict: another request is adding to it.
        """
        with storing():
            self.root.mkdir(parents=True, exist_ok=True)
        with Pushed.open(self._part(key)) as pushed:
            yield pushed

    def keep(self, pushed: Pushed) -> Landed:
        """Store a pushed file that is whole."""
        return self._store(pushed.descriptor, pushed.path, pushed.sha256(), pushed.bytes)

    def part_bytes(self, key: str) -> int:
        """Return how many bytes are here of a file that is pushed in parts."""
        try:
            return self._part(key).stat().st_size
        except FileNotFoundError:
            return 0

    def has(self, sha256: str) -> bool:
        """Tell whether these bytes are here."""
        return self.path(sha256).exists()

    def path(self, sha256: str) -> Path:
        """Return where the bytes with this address are, or would be."""
        return self.root / sha256[:2] / sha256

    def open(self, sha256: str) -> BinaryIO:
        """Open stored bytes for reading."""
        return self.path(sha256).open("rb")

    def sweep(self, at: datetime | None = None) -> int:
        """Remove what interrupted arrivals left behind; return how many files.

        What a living process writes to stays. Parts of large files stay for ``KEPT_FOR``
        after their last byte; without an instant they all stay.
        """
        leftovers = list(self.root.glob(".arriving-*"))
        if at is not None:
            old = (at - KEPT_FOR).timestamp()
            leftovers += [part for part in self.root.glob(".part-*") if _written(part) < old]
        return sum(map(_remove, leftovers))

    def _part(self, key: str) -> Path:
        return self.root / f".part-{key}"

    @contextmanager
    def _nameless(self) -> Iterator[tuple[int, Path]]:
        """Lend a new file that only this process writes to; it is gone afterwards."""
        descriptor, arriving = self._new_file()
        try:
            yield descriptor, arriving
        finally:
            os.close(descriptor)
            arriving.unlink(missing_ok=True)

    def _new_file(self) -> tuple[int, Path]:
        while True:
            with storing():
                self.root.mkdir(parents=True, exist_ok=True)
                descriptor, name = tempfile.mkstemp(prefix=".arriving-", dir=self.root)
            arriving = Path(name)
            if locked(descriptor) and is_still(arriving, descriptor):
                return descriptor, arriving
            os.close(descriptor)  # a sweep saw it before it was locked

    def _store(self, descriptor: int, arriving: Path, sha256: str, size: int) -> Landed:
        """Give a file that is complete its name."""
        reach("landing.hashed")
        target = self.path(sha256)
        with storing():
            if not target.exists():
                os.fsync(descriptor)
                target.parent.mkdir(exist_ok=True)
                reach("landing.synced")
                os.fchmod(descriptor, 0o440)
                arriving.replace(target)
        reach("landing.named")
        return Landed(sha256, size, target)


def _remove(leftover: Path) -> bool:
    """Remove a file, with its note, unless a living process writes to it."""
    part = _of_note(leftover)
    try:
        with part.open("rb") as opened:
            if not locked(opened.fileno()):
                return False
            part.unlink(missing_ok=True)
    except FileNotFoundError:
        if part == leftover:
            return False
    part.with_name(part.name + NOTE).unlink(missing_ok=True)
    return True


def _of_note(path: Path) -> Path:
    """Return the part that a note speaks of; the part itself where it is none."""
    return path.with_name(path.name.removesuffix(NOTE))


def _written(path: Path) -> float:
    """Return when a file was written last; a file that has just gone is not old."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
