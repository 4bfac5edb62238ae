"""Images and documents that records name, found among what was delivered.

A name is looked up relative to the record's own file, then without its extension, then by
its last part if that is unique in the archive and not in another record's folder. The first
match of that order counts; an ambiguous name is not guessed. So it is in an archive of nothing
but pictures, where no folder is known to be another record's. An image is never decoded: that
it is there, whole, and begins as its name says is all that is asked of it.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from connectors.readers.archives import HEAD_BYTES, Delivered, Digest, Member, looks_like_xml
from connectors.readers.raw_xml import right_of
from ipregister.errors import UnreadableDelivery
from ipregister.model import Right

MEDIA_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),
    (b"MM\0+", "image/tiff"),
    (b"BM", "image/bmp"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"RIFF", "application/octet-stream"),
)
UNKNOWN = "application/octet-stream"

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp")
"""Ends of names of files whose beginning is among ``MEDIA_TYPES``."""

NO_RECORDS = (*PICTURES, ".svg", ".pdf", ".mp3", ".wav", ".mp4", ".mov", ".avi", ".xsd", ".xsl")
"""Ends of names that say well enough what a file is: nobody looks for records there."""

ATTACHED = "attachment"
"""Folder of a record's own files in IPAS; the same name in two of them is two files."""

MISSING_IMAGE, USELESS_IMAGE = "ALL.PKG.011", "ALL.PKG.013"

OFFICE_FILES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""Beginnings of office files, new and old; archives in the archive are opened, not attached."""

DATA_FILES = (
    *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".ndjson"),
    *(".sql", ".mdb", ".accdb", ".dbf"),
    *(".rar", ".7z", ".tar", ".tgz", ".gz", ".bz2", ".xz"),
    *(".xml.txt", ".xml.bak", ".xml.old", ".xml.tmp"),
)
"""Ends of names of files in which records may stand that nobody here reads."""


def is_data(path: str) -> bool:
    """Tell by its name whether a file that no record names may hold records of its own."""
    return path.lower().endswith(DATA_FILES)


def media_type(head: bytes) -> str:
    """Return the media type by the first bytes, never by the name."""
    return next((name for magic, name in MEDIA_TYPES if head.startswith(magic)), UNKNOWN)


def refuse_other_data(delivered: Delivered) -> None:
    """Refuse an archive that has no document but something in which records could stand.

    Tables, office files and documents without ``.xml`` in their names are read by nobody here;
    an archive of pictures, or an empty one, is no harm.

    Raises:
        UnreadableDelivery: it holds such a file and no document.
    """
    if delivered.documents:
        return
    for member in delivered.attachments:
        with delivered.open(member) as source:
            head = source.read(HEAD_BYTES)
        if _may_hold_records(head) and not member.name.lower().endswith(".svg"):
            raise UnreadableDelivery(
                f"The archive holds no XML document (*.xml), but {member.path}; "
                "send records as XML."
            )


def _may_hold_records(head: bytes) -> bool:
    """Tell text and office files from pictures, sounds and films."""
    if head.startswith(OFFICE_FILES):
        return True
    return bool(head) and b"\0" not in head and media_type(head) == UNKNOWN


@dataclass(slots=True)
class Attachments:
    """The attachments of one delivered archive and which of them records named of late."""

    delivered: Delivered
    used: set[str] = field(default_factory=set)
    _by_path: dict[str, Member] = field(default_factory=dict)
    _by_stem: dict[str, Member | None] = field(default_factory=dict)
    _by_name: dict[str, Member | None] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _digests: dict[str, Digest | None] = field(default_factory=dict)
    _is_flat: bool = False

    def __post_init__(self) -> None:
        """Index the archive's attachments by path, stem and last part."""
        self._taken = {_folder(member) for member in self.delivered.documents}
        folders = {_folder(member) for member in self.delivered.attachments}
        self._is_flat = len(folders) == 1 and _name(*folders) != ATTACHED
        for member in self.delivered.attachments:
            path = _folded(member.path.replace("!", "/"))
            self._by_path[path] = member
            stem = _stem(path)
            self._by_stem[stem] = None if stem in self._by_stem else member
            name = _name(path)
            self._by_name[name] = None if name in self._by_name else member

    def resolve(self, document: Member, item: dict[str, Any]) -> str | None:
        """Complete one image or document of a record; return the rule it breaks, if it does.

        One that is damaged harms nothing but itself: its record is as good as without it.

        Args:
            document: the XML document that names it.
            item: the canonical item; gets ``memberPath``, ``sha256``, ``bytes``, ``mediaType``.
        """
        member = self._find(document, item["fileName"])
        if member is None:
            return MISSING_IMAGE
        self.used.add(member.path)
        digest = self._digest(member)
        if digest is None or not digest.bytes:
            return USELESS_IMAGE
        item["memberPath"] = member.path
        item["sha256"] = digest.sha256
        item["bytes"] = digest.bytes
        item["mediaType"] = kind = media_type(digest.head)
        is_other = kind == UNKNOWN and member.name.lower().endswith(PICTURES)
        return USELESS_IMAGE if is_other else None

    def has(self, document: Member, item: dict[str, Any]) -> bool:
        """Tell whether a name in a document leads to something here."""
        return self._find(document, item["fileName"]) is not None

    def take_used(self) -> set[str]:
        """Return the paths of attachments that records named since the last call."""
        used, self.used = self.used, set()
        return used

    def records_in(self, path: str) -> Right | None:
        """Return the right whose records an attachment holds, that should have been a document."""
        member = self._by_path.get(_folded(path.replace("!", "/")))
        if member is None or path.lower().endswith(NO_RECORDS):
            return None
        try:
            with self.delivered.open(member) as source:
                return right_of(source) if looks_like_xml(source.read(HEAD_BYTES)) else None
        except UnreadableDelivery:
            return None

    def _digest(self, member: Member) -> Digest | None:
        """Return what a read tells of a member, once; nothing of one that is damaged."""
        if member.path not in self._digests:
            try:
                self._digests[member.path] = self.delivered.digest(member)
            except UnreadableDelivery:
                self._digests[member.path] = None
        return self._digests[member.path]

    def _find(self, document: Member, name: str) -> Member | None:
        name = _folded(name)
        folder = _folder(document)
        attached = _joined(folder, ATTACHED)
        for path in (_joined(folder, name), _joined(attached, name), name):
            if found := self._by_path.get(path) or self._by_stem.get(path):
                return found
        found = self._by_name.get(_name(name))
        if found is None or not (self._taken or self._is_flat):
            return None
        return None if self._is_of_another(found, folder) else found

    def _is_of_another(self, member: Member, folder: str) -> bool:
        """Tell whether an attachment lies in the folder of another document."""
        path = _folder(member)
        while path not in self._taken or path == folder:
            path = path.rpartition("/")[0]
            if not path:
                return False
        return True


# Paths are texts here: objects of them took 30 µs per record where each has a file of its own.


def _folder(member: Member) -> str:
    """Return the folder of a member, empty at the top."""
    return _folded(member.path.replace("!", "/")).rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _stem(path: str) -> str:
    """Return a path without the extension of its last part."""
    dot = path.rfind(".")
    is_extension = path.rfind("/") + 1 < dot < len(path) - 1
    return path[:dot] if is_extension else path


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def _folded(path: str) -> str:
    path = unicodedata.normalize("NFC", path)  # macOS packs decomposed names
    folded = path.replace("\\", "/").strip().lstrip("./").casefold()
    if "//" in folded or "/." in folded or folded.endswith("/"):
        return str(PurePosixPath(folded))
    return folded
