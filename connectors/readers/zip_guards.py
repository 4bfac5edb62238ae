"""Guards of ZIP archives: an archive is judged by its directory before a byte is expanded.

The end record and the directory are counted before ``zipfile`` builds an object per member;
then names, sizes, ratios, overlaps, encryption and methods are judged. What the members hold
does not belong here.

Standard: PKWARE APPNOTE 6.3 (end record, directory); stricter than it on purpose.
"""

import lzma
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ipregister.errors import IncompleteDelivery, OversizedDelivery, UnreadableDelivery

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    OverflowError,
    ValueError,  # UnicodeDecodeError among them
    RuntimeError,  # encrypted members; NotImplementedError among them
    struct.error,
)
"""What ``zipfile`` raises on damaged or unusual archives."""

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The methods every tool writes by default; LZMA and others can claim gigabytes of memory."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one archive may expand to. Source: sizes of real deliveries, ten times over."""

    members: int = 200_000
    directory_bytes: int = 64 << 20
    expanded_bytes: int = 20 << 30
    member_bytes: int = 5 << 30
    member_ratio: int = 200
    member_ratio_above_bytes: int = 10 << 20
    overall_ratio: int = 100
    overall_ratio_above_bytes: int = 10 << 20
    name_bytes: int = 255
    nested_bytes: int = 1 << 30


DEFAULT_LIMITS = Limits()

UNSAFE = "ALL.PKG.002"
"""The rule an archive breaks that is whole but not safe to unpack."""

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s24x3H12x")
"""Signature and the lengths of name, extra field and comment; the rest stays unread."""

_HEADER_BYTES = 30
"""A member's own header without its name; its bytes follow."""

_LONGEST_COMMENT = 0xFFFF


def open_archive(source: BinaryIO, limits: Limits) -> zipfile.ZipFile:
    """Open an archive that is safe to read.

    Args:
        source: the archive, seekable; it stays open for the archive's life.
        limits: what it may hold.

    Raises:
        IncompleteDelivery: it ends too early.
        UnreadableDelivery: damaged, encrypted, or with unsafe or ambiguous members.
        OversizedDelivery: too many members or too many bytes.
    """
    size = source.seek(0, 2)
    _judge_directory(source, size, limits)
    try:
        archive = zipfile.ZipFile(source)
    except DAMAGE as exc:
        raise UnreadableDelivery(f"The ZIP archive cannot be opened: {exc}.") from exc
    try:
        _judge_overlap(archive.infolist(), archive.start_dir)
        _judge_members(archive.infolist(), size, limits)
    except BaseException:
        archive.close()
        raise
    return archive


def readable_name(info: zipfile.ZipInfo) -> str:
    """Return a member's name as its author wrote it: UTF-8, even where the flag is missing."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _judge_directory(source: BinaryIO, size: int, limits: Limits) -> None:
    """Count the members where the directory says they are, before memory is spent on them."""
    source.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    tail = source.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or (whole := _end_of(tail, end)) > len(tail):
        raise IncompleteDelivery("The ZIP archive ends before its end record is complete.")
    if whole < len(tail):
        raise UnreadableDelivery("The ZIP archive goes on behind its end record.", rule=UNSAFE)
    _, disk, first_disk, _, declared, length, offset, _ = _END.unpack_from(tail, end)
    position = size - len(tail) + end
    at64 = end - _LOCATOR.size - _END64.size
    if at64 >= 0 and tail[at64 + _END64.size :].startswith(b"PK\x06\x07"):
        if not tail[at64:].startswith(b"PK\x06\x06"):
            raise UnreadableDelivery("The ZIP archive has no proper ZIP64 end record.")
        *_, disk, first_disk, _, declared, length, offset = _END64.unpack_from(tail, at64)
        position = size - len(tail) + at64
    if disk or first_disk:
        raise UnreadableDelivery("The ZIP archive is one of several volumes; send it in one.")
    if declared > limits.members:
        raise OversizedDelivery(
            f"The archive has {declared:,} members; {limits.members:,} are allowed."
        )
    if length > limits.directory_bytes:
        raise OversizedDelivery(f"The archive's directory has {length:,} bytes.")
    if offset + length != position:
        raise UnreadableDelivery(
            "Something stands before the ZIP archive or inside its directory.", rule=UNSAFE
        )
    source.seek(offset)
    counted = _count(source.read(length), limits.members)
    if counted != declared:
        raise UnreadableDelivery(
            f"The ZIP archive's directory has {counted:,} members, its end record {declared:,}.",
            rule=UNSAFE,
        )


def _end_of(tail: bytes, end: int) -> int:
    """Return where the end record that begins at ``end`` should end, its comment included."""
    if end + _END.size > len(tail):
        return end + _END.size
    comment = int(_END.unpack_from(tail, end)[-1])
    return end + _END.size + comment


def _count(directory: bytes, allowed: int) -> int:
    """Return the number of entries in a directory, at most one more than ``allowed``."""
    position = count = 0
    while position + _ENTRY.size <= len(directory) and count <= allowed:
        signature, *lengths = _ENTRY.unpack_from(directory, position)
        if signature != b"PK\x01\x02":
            break
        position += _ENTRY.size + sum(lengths)
        count += 1
    return count


def _judge_members(infos: Sequence[zipfile.ZipInfo], archive_bytes: int, limits: Limits) -> None:
    expanded = sum(info.file_size for info in infos)
    if expanded > limits.expanded_bytes:
        raise OversizedDelivery(f"The archive would expand to {expanded:,} bytes.")
    seen: set[str] = set()
    for info in infos:
        _judge_name(info, limits)
        _judge_content(info, limits)
        folded = unicodedata.normalize("NFC", readable_name(info)).casefold()
        if folded in seen:
            raise UnreadableDelivery(
                f"{info.filename!r} stands in the archive twice; which one counts?", rule=UNSAFE
            )
        seen.add(folded)
    if (
        expanded > limits.overall_ratio_above_bytes
        and expanded > archive_bytes * limits.overall_ratio
    ):
        largest = max(infos, key=lambda info: info.file_size).filename
        raise OversizedDelivery(
            f"The archive would expand to {expanded:,} bytes from {archive_bytes:,}; "
            f"its largest member is {largest!r}."
        )


def _judge_name(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = info.filename
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if (
        # ``./`` is where the packer stood: bsdtar writes it, and nobody reads a folder.
        (not parts and not name.endswith("/"))
        or name.startswith("/")
        or ".." in parts
        or "\\" in info.orig_filename
        or name[1:2] == ":"
        or "\0" in info.orig_filename
    ):
        raise UnreadableDelivery(
            f"{name!r} is not a safe member name: use relative names with '/'.", rule=UNSAFE
        )
    if len(name.encode("utf-8", "replace")) > limits.name_bytes:
        raise UnreadableDelivery(
            f"{name[:60]!r}…: the member name is longer than {limits.name_bytes} bytes.",
            rule=UNSAFE,
        )
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnreadableDelivery(
            f"{name!r} is a link or a device; send the file itself.", rule=UNSAFE
        )


def _judge_content(info: zipfile.ZipInfo, limits: Limits) -> None:
    name = info.filename
    if info.flag_bits & 0x1:
        raise UnreadableDelivery(f"{name!r} is encrypted; send archives without a password.")
    if info.compress_type not in METHODS:
        raise UnreadableDelivery(
            f"{name!r} is compressed by method {info.compress_type}; use Deflate, as is usual."
        )
    if info.file_size > limits.member_bytes:
        raise OversizedDelivery(f"{name!r} would expand to {info.file_size:,} bytes.")
    if (
        info.file_size > limits.member_ratio_above_bytes
        and info.file_size > info.compress_size * limits.member_ratio
    ):
        raise OversizedDelivery(
            f"{name!r} would expand {info.file_size // max(1, info.compress_size)} times."
        )


def _judge_overlap(infos: Sequence[zipfile.ZipInfo], directory_start: int) -> None:
    """Refuse members that share bytes: Python 3.11's zipfile expands such a bomb happily."""
    end = 0
    for number, info in enumerate(sorted(infos, key=lambda info: info.header_offset)):
        if number == 0 and info.header_offset:
            raise UnreadableDelivery(
                f"Something stands before {info.filename!r}, the archive's first member.",
                rule=UNSAFE,
            )
        if info.header_offset < end:
            raise UnreadableDelivery(
                f"{info.filename!r} overlaps another member of the archive.", rule=UNSAFE
            )
        end = info.header_offset + _HEADER_BYTES + info.compress_size
        if end > directory_start:
            raise UnreadableDelivery(
                f"{info.filename!r} reaches into the archive's directory.", rule=UNSAFE
            )
