"""Immutable landing zone: what an office sent, exactly as it was sent.

Files are stored once, under the SHA-256 of their bytes, and never changed or deleted here.
Nothing in this module looks inside a file.
"""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """Anything bytes can be read from, a file or a network stream."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""
        ...


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
        """
        self.root.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        descriptor, name = tempfile.mkstemp(prefix=".arriving-", dir=self.root)
        arriving = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as sink:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    sink.write(chunk)
                sink.flush()
                os.fsync(sink.fileno())
            sha256 = digest.hexdigest()
            target = self.path(sha256)
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                arriving.chmod(0o440)
                arriving.replace(target)
            return Landed(sha256, size, target)
        finally:
            arriving.unlink(missing_ok=True)

    def put_file(self, path: Path) -> Landed:
        """Store a local file."""
        with path.open("rb") as source:
            return self.put(source)

    def has(self, sha256: str) -> bool:
        """Tell whether these bytes are here."""
        return self.path(sha256).exists()

    def path(self, sha256: str) -> Path:
        """Return where the bytes with this address are, or would be."""
        return self.root / sha256[:2] / sha256

    def open(self, sha256: str) -> BinaryIO:
        """Open stored bytes for reading."""
        return self.path(sha256).open("rb")

    def sweep(self) -> int:
        """Remove what interrupted arrivals left behind; return how many files."""
        leftovers = list(self.root.glob(".arriving-*"))
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        return len(leftovers)
