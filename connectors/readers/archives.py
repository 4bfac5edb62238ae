"""Delivered files into documents and attachments: ZIP archives, plain XML.

Archives are never unpacked to disk; whether one is safe to read is ``zip_guards``. Which
documents hold which records is the other readers' business.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from connectors.readers.raw_xml import closes_root
from connectors.readers.zip_guards import (
    DAMAGE,
    DEFAULT_LIMITS,
    Limits,
    open_archive,
    readable_name,
)
from connectors.readers.zip_members import read_whole
from ipregister.errors import IncompleteDelivery, OversizedDelivery, UnreadableDelivery

CHUNK_BYTES = 1 << 18

SHORTEST_BYTES = 4
"""``<a/>``, and the signature of a ZIP: what is shorter is the beginning of something."""

HEAD_BYTES = 512
"""Enough to tell XML, which may begin with white space, from everything else."""

STREAMED_ABOVE_BYTES = 16 << 20
"""Larger documents of an archive are expanded while they are read, not held in memory."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a delivered file; ``name`` is ``""`` for a plain document.

    ``inside`` is the name of the archive within the archive that holds it, if any; ``entry``
    the name under which the archive keeps it, where that is not readable.
    """

    name: str
    bytes: int
    inside: str = ""
    entry: str = ""

    @property
    def path(self) -> str:
        """Return the member's name for people: ``outer.zip!inner`` parts joined by ``!``."""
        inside, name = self.inside, self.name
        return f"{inside}!{name}" if inside and name else inside or name

    @property
    def is_streamed(self) -> bool:
        """Tell whether an archive's member is expanded while it is read; its end proves it."""
        return self.bytes > STREAMED_ABOVE_BYTES

    @property
    def is_document(self) -> bool:
        """Tell whether the member is an XML document."""
        return not self.name or self.name.lower().endswith(".xml")


@dataclass(frozen=True, slots=True)
class Digest:
    """What one read of a member tells: hex SHA-256, first bytes, size in bytes."""

    sha256: str
    head: bytes
    bytes: int


class Delivered:
    """One delivered file, opened: a ZIP archive or a plain XML document."""

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        """Open a file and judge what it says it holds.

        Raises:
            IncompleteDelivery: empty, or it ends too early.
            UnreadableDelivery: neither XML nor ZIP, damaged, encrypted or with unsafe names.
            OversizedDelivery: beyond ``limits``.
        """
        self.path, self.limits = path, limits
        self._archive: zipfile.ZipFile | None = None
        self._nested: dict[str, zipfile.ZipFile] = {}
        self._file = path.open("rb")
        try:
            self.members = tuple(self._look_inside())
        except BaseException:
            self.close()
            raise
        self.documents: Sequence[Member] = tuple(m for m in self.members if m.is_document)
        """The XML documents in archive order."""
        self.attachments: Sequence[Member] = tuple(m for m in self.members if not m.is_document)
        """Everything that is not an XML document."""

    @property
    def archives(self) -> Sequence[zipfile.ZipFile]:
        """Return the archive and those inside it; none for a plain document."""
        return [*([self._archive] if self._archive else []), *self._nested.values()]

    def open(self, member: Member) -> BinaryIO:
        """Open one member, seekable.

        Raises:
            UnreadableDelivery: the member is damaged; large ones say so while they are read.
        """
        if self._archive is None:
            return self.path.open("rb")
        if member.is_streamed:
            return cast("BinaryIO", _Expanding(self._entry(member), member.path))
        return io.BytesIO(self._whole(member))

    def digest(self, member: Member) -> Digest:
        """Read one member through, keeping nothing of it.

        Raises:
            UnreadableDelivery: the member is damaged.
        """
        if not member.is_streamed:
            content = self._whole(member)
            return Digest(hashlib.sha256(content).hexdigest(), content[:16], len(content))
        sha256, size, head = hashlib.sha256(), 0, b""
        with _Expanding(self._entry(member), member.path) as source:
            while chunk := source.read(CHUNK_BYTES):
                head = head or chunk[:16]
                size += len(chunk)
                sha256.update(chunk)
        return Digest(sha256.hexdigest(), head, size)

    def close(self) -> None:
        """Release the file."""
        for archive in self.archives:
            archive.close()
        self._file.close()

    def __enter__(self) -> "Delivered":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _whole(self, member: Member) -> bytes:
        try:
            return read_whole(self._archive_of(member), member.entry or member.name)
        except DAMAGE as exc:
            raise UnreadableDelivery(f"{member.path}: {exc}") from exc

    def _entry(self, member: Member) -> IO[bytes]:
        try:
            return self._archive_of(member).open(member.entry or member.name)
        except DAMAGE as exc:
            raise UnreadableDelivery(f"{member.path}: {exc}") from exc

    def _archive_of(self, member: Member) -> zipfile.ZipFile:
        assert self._archive is not None  # noqa: S101 only archives have members to read
        return self._nested[member.inside] if member.inside else self._archive

    def _look_inside(self) -> Iterator[Member]:
        head = self._file.read(HEAD_BYTES)
        if not head:
            raise IncompleteDelivery("The file is empty (0 bytes).")
        if len(head) < SHORTEST_BYTES:
            raise IncompleteDelivery(f"The file has only {len(head)} bytes.")
        if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
            self._archive = open_archive(self._file, self.limits)
            yield from self._walk(self._archive)
        elif looks_like_xml(head):
            if not closes_root(self._file):
                raise IncompleteDelivery(
                    "The XML document ends before its first element is closed."
                )
            yield Member("", self.path.stat().st_size)
        else:
            raise UnreadableDelivery(
                f"Neither XML nor ZIP: {_named(head)}. Send XML files or one ZIP archive."
            )

    def _walk(self, archive: zipfile.ZipFile) -> Iterator[Member]:
        nested_bytes = 0
        for info in archive.infolist():
            if info.is_dir() or _is_clutter(info.filename):
                continue
            if not info.filename.lower().endswith(".zip"):
                yield _member(info)
                continue
            nested_bytes += info.file_size
            if nested_bytes > self.limits.nested_bytes:
                raise OversizedDelivery(
                    f"{info.filename}: archives in the archive may have "
                    f"{self.limits.nested_bytes:,} bytes in all; send them one by one."
                )
            yield from self._walk_nested(archive, info)

    def _walk_nested(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[Member]:
        name = readable_name(info)
        try:
            inner = open_archive(io.BytesIO(archive.read(info)), self.limits)
        except DAMAGE as exc:
            raise UnreadableDelivery(f"{name}: {exc}") from exc
        except IncompleteDelivery as exc:
            raise UnreadableDelivery(f"{name}: {exc.detail}") from exc
        self._nested[name] = inner
        for entry in inner.infolist():
            if entry.filename.lower().endswith(".zip"):
                raise UnreadableDelivery(
                    f"{name} holds another archive: nest archives once at most."
                )
            if not entry.is_dir() and not _is_clutter(entry.filename):
                yield _member(entry, inside=name)


class DamagedMember(UnreadableDelivery):
    """A member turned out to be damaged while it was read: nothing it gave can be trusted."""


class _Expanding(io.RawIOBase):
    """One member while it is expanded; its damage is told as the hub's own error."""

    def __init__(self, entry: IO[bytes], path: str) -> None:
        super().__init__()
        self._entry, self._path = entry, path

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._entry.read(size)
        except DAMAGE as exc:
            raise DamagedMember(f"{self._path}: {exc}") from exc

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return self._entry.seek(offset, whence)
        except DAMAGE as exc:
            raise DamagedMember(f"{self._path}: {exc}") from exc

    def tell(self) -> int:
        return self._entry.tell()

    def close(self) -> None:
        self._entry.close()
        super().close()


def prove_complete(path: Path) -> None:
    """Prove that a file arrived whole: every checksum of a ZIP, the end of an XML document.

    Raises:
        IncompleteDelivery: it ends too early, an upload is running or died.
        UnreadableDelivery: whole, but damaged or refused; see ``Delivered``.
    """
    with Delivered(path) as delivered:
        for archive in delivered.archives:
            for info in archive.infolist():
                try:
                    with archive.open(info) as member:
                        while member.read(CHUNK_BYTES):
                            pass
                except DAMAGE as exc:
                    raise UnreadableDelivery(f"{readable_name(info)}: {exc}") from exc


def _member(info: zipfile.ZipInfo, inside: str = "") -> Member:
    name = readable_name(info)
    entry = info.filename if name != info.filename else ""
    return Member(name, info.file_size, inside, entry)


def _is_clutter(name: str) -> bool:
    """Tell whether a member is what an operating system leaves in archives."""
    parts = name.split("/")
    # ``._KH_1.xml`` is what macOS keeps beside ``KH_1.xml``.
    is_resource = "__MACOSX" in parts or parts[-1].startswith("._")
    return is_resource or parts[-1] in (".DS_Store", "Thumbs.db", "desktop.ini")


def looks_like_xml(head: bytes) -> bool:
    """Tell by its first bytes whether a file is an XML document."""
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = text[2:].replace(b"\0", b"")
    return text.replace(b"\0", b"").lstrip()[:1] == b"<"


def _named(head: bytes) -> str:
    known = {
        b"Rar!": "a RAR archive",
        b"7z\xbc\xaf": "a 7-Zip archive",
        b"\x1f\x8b": "a gzip file",
        b"%PDF": "a PDF",
        b"MZ": "a program",
    }
    return next(
        (name for magic, name in known.items() if head.startswith(magic)), "unknown content"
    )
