"""One file that holds a backup: a tar whose last member lists every other with its SHA-256.

Written under another name until it is complete, for its owner alone: it holds the hub's keys.
Reading it back proves every byte. What belongs into a backup is ``cut``.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from connectors.arriving import is_still, locked
from connectors.backup.cut import Entry
from connectors.faults import reach
from ipregister.errors import InvalidRequest, UnreadableBackup

MANIFEST = "manifest.json"
FORMAT = "asean-ip-hub backup 1"

UNFINISHED = ".iphub-unfinished"
"""Ends the hidden name of a backup that is being written; nobody else's files end so."""

CHUNK_BYTES = 1 << 20
SPOOL_BYTES = 16 << 20


@dataclass(slots=True)
class Contents:
    """What a backup holds: bytes and SHA-256 by name; ``cut_at`` is its instant (ISO 8601)."""

    cut_at: str
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(size for size, _ in self.files.values())

    def by_store(self) -> dict[str, tuple[int, int]]:
        """Return number and bytes of files by the first part of their names."""
        stores: dict[str, tuple[int, int]] = {}
        for name, (size, _) in self.files.items():
            count, total = stores.get(store := name.partition("/")[0], (0, 0))
            stores[store] = (count + 1, total + size)
        return stores


def write(target: Path, entries: Iterable[Entry], cut_at: str) -> Contents:
    """Write a backup; under its name there is a whole one or none.

    Raises:
        InvalidRequest: another process is writing it.
    """
    contents = Contents(cut_at)
    unfinished = target.with_name(f".{target.name}{UNFINISHED}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        if not locked(descriptor) or not is_still(unfinished, descriptor):
            raise InvalidRequest(f"{target} is being written by another process.")
        try:
            os.ftruncate(descriptor, 0)  # what a killed one left
            with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for entry in entries:
                    if (added := _add(archive, entry)) is not None:
                        contents.files[entry.name] = added
                    reach("backup.entry")
                _add_manifest(archive, contents)
                reach("backup.listed")
            sink.flush()
            os.fsync(descriptor)
            reach("backup.synced")
            unfinished.replace(target)
            reach("backup.named")
        finally:
            unfinished.unlink(missing_ok=True)
    return contents


def remove_unfinished(folder: Path) -> None:
    """Remove what killed backups left in a folder; what a living process writes to stays."""
    for left in folder.glob(f".*{UNFINISHED}"):
        with suppress(OSError), left.open("rb") as opened:
            if locked(opened.fileno()):
                left.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, entry: Entry) -> tuple[int, str] | None:
    try:
        source: Any = entry.path.open("rb")
    except FileNotFoundError:
        if entry.required:
            raise
        return None
    with source:
        if entry.required:  # never changes once it has its name
            return _add_stream(archive, entry.name, source, os.fstat(source.fileno()).st_size)
        with SpooledTemporaryFile(SPOOL_BYTES) as still:
            while chunk := source.read(CHUNK_BYTES):
                still.write(chunk)
            size = still.tell()
            still.seek(0)
            return _add_stream(archive, entry.name, still, size)


def _add_stream(archive: tarfile.TarFile, name: str, source: Any, size: int) -> tuple[int, str]:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    hashing = _Hashing(source)
    archive.addfile(member, hashing)  # type: ignore[arg-type]  # it needs nothing but read
    return size, hashing.digest.hexdigest()


def _add_manifest(archive: tarfile.TarFile, contents: Contents) -> None:
    files = {name: {"bytes": n, "sha256": sha} for name, (n, sha) in contents.files.items()}
    document = {"format": FORMAT, "cutAt": contents.cut_at, "files": files}
    with SpooledTemporaryFile(SPOOL_BYTES) as written:
        size = written.write(json.dumps(document, indent=1).encode())
        written.seek(0)
        _add_stream(archive, MANIFEST, written, size)


class _Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, source: Any) -> None:
        self._source, self.digest = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        chunk: bytes = self._source.read(size)
        self.digest.update(chunk)
        return chunk


def extract(backup: Path, into: Path) -> Contents:
    """Write a backup's files below ``into`` and prove every byte of them.

    Raises:
        UnreadableBackup: it is damaged, incomplete or none at all; ``into`` is then useless.
    """
    found: dict[str, tuple[int, str]] = {}
    manifest: dict[str, Any] | None = None
    with _damage(backup), tarfile.open(backup, mode="r|") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is None or manifest is not None:
                raise UnreadableBackup(f"{backup.name} holds {member.name}, which has no place.")
            if member.name == MANIFEST:
                manifest = json.load(stream)
            else:
                found[member.name] = _restore(stream, into / _inside(member.name))  # type: ignore[arg-type]
                reach("restore.entry")
    if manifest is None or manifest.get("format") != FORMAT:
        raise UnreadableBackup(f"{backup.name} is not a whole backup of a hub: {MANIFEST} lacks.")
    listed = {name: (f["bytes"], f["sha256"]) for name, f in manifest["files"].items()}
    if wrong := sorted(name for name in listed | found if listed.get(name) != found.get(name)):
        raise UnreadableBackup(
            f"{backup.name} is damaged: {len(wrong)} of {len(listed)} files differ from its "
            f"manifest, first {wrong[0]}. Nothing was restored; take an older backup."
        )
    return Contents(manifest["cutAt"], found)


@contextmanager
def _damage(backup: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, ValueError, EOFError) as exc:
        raise UnreadableBackup(
            f"{backup.name} is damaged or no backup: {exc}. Nothing was restored."
        ) from exc


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UnreadableBackup(f"A file of the backup wants to be outside the home: {name!r}.")
    return path


def _restore(source: BinaryIO, target: Path) -> tuple[int, str]:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            size += sink.write(chunk)
    return size, digest.hexdigest()
