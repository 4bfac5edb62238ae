"""The good records of a document that is not well-formed.

One bad character must not cost an office a hundred thousand records. Where the parser gave
up, the rest of the document is cut at its record elements and each is parsed alone, by the
same strict parser; those that still do not parse are rejected with their line. Bytes stay
the office's own: nothing is decoded on the way and nothing repaired.
"""

import io
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from lxml import etree

from connectors.readers.unread import reason_of
from connectors.readers.xml import Record, Rejected
from connectors.readers.xml_guards import TOO_MUCH_MARKUP, has_too_much_markup, safe_parser
from ipregister.errors import OversizedDelivery, UnreadableDelivery
from ipregister.profiles import Format

IN_MEMORY_BYTES = 256 << 20
"""A broken document up to here is held in memory while it is cut up, a larger one mapped from
disk. No piece may be larger, nor a document in UTF-16, which has to be rewritten."""

MAX_SALVAGE_BYTES = 8 << 30
"""Larger documents are not cut up: a member of an archive is expanded on disk for it."""

STEP_BYTES = 1 << 20

_Document = bytes | mmap.mmap

MAX_PREFIXES = 256
"""Declared outside the records; each piece is parsed with all of them."""

_DECLARED = re.compile(rb"\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w.-]+)")
_NAMESPACE = re.compile(rb"(xmlns(?::[\w.-]+)?)\s*=\s*(\"[^\"<]*\"|'[^'<]*')")
_ASIDES = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
"""Nothing inside counts; one that is never closed is passed over: records behind it are wanted."""
_ASIDE = re.compile(rb"(?P<aside>%s)" % b"|".join(map(re.escape, _ASIDES)))


def salvage(
    source: BinaryIO, format: Format, already_read: int, scratch: Path | None = None
) -> Iterator[Record | Rejected]:
    """Yield the records after the first ``already_read`` of a malformed document.

    Args:
        source: the document, seekable.
        format: names of the record and envelope elements.
        already_read: records the strict parser yielded before it gave up.
        scratch: where a large member of an archive may be expanded meanwhile.

    Raises:
        OversizedDelivery: the document is too large to be cut up, or declares namespaces
            without end.
        UnreadableDelivery: its encoding is broken, so that nothing can be found in it.
    """
    data, encoding = _bytes_of(source, scratch)
    try:
        yield from _cut(data, encoding, format, already_read)
    finally:
        if isinstance(data, mmap.mmap):
            data.close()


def _cut(
    data: _Document, encoding: bytes, format: Format, already_read: int
) -> Iterator[Record | Rejected]:
    envelope, parsing = _Envelope(format), _Parsing(encoding)
    position, line, counted_to = 0, 1, 0
    for number, (start, end) in enumerate(_pieces(data, format)):
        if max(start - position, end - start) > IN_MEMORY_BYTES:
            raise OversizedDelivery(
                "The document is not well-formed and has more than "
                f"{IN_MEMORY_BYTES:,} bytes in one record or between two."
            )
        envelope.read(data[position:start])
        if number >= already_read:
            line, counted_to = line + _lines(data, counted_to, start), start
            yield parsing.parsed(data[start:end], line, envelope)
        position = end


def _lines(data: _Document, start: int, end: int) -> int:
    """Count line ends, without a copy of all that is between."""
    steps = range(start, end, STEP_BYTES)
    return sum(data[at : min(at + STEP_BYTES, end)].count(b"\n") for at in steps)


class _Envelope:
    """What stands around the records: values for the header, prefixes in use."""

    def __init__(self, format: Format) -> None:
        self._format = format
        self.header: dict[str, str] = {}
        self.namespaces: dict[bytes, bytes] = {}
        self._values = {
            name: re.compile(rb"<(?:[\w.-]+:)?%s>([^<]*)<" % re.escape(element.encode()))
            for element, name in format.header.items()
        }
        envelope = re.escape((format.envelope or "").encode())
        self._start = re.compile(rb"<(?:[\w.-]+:)?%s[\s>]" % envelope)
        self._end = re.compile(rb"</(?:[\w.-]+:)?%s\s*>" % envelope)
        self._around: dict[str, str] = {}
        self._is_within = False

    def read(self, text: bytes) -> None:
        """Read what stands between two records.

        Raises:
            OversizedDelivery: more than ``MAX_PREFIXES`` are declared there.
        """
        text = _plain(text)
        self.namespaces |= dict(_NAMESPACE.findall(text))
        if len(self.namespaces) > MAX_PREFIXES:
            raise OversizedDelivery(
                f"More than {MAX_PREFIXES} namespaces are declared outside the records."
            )
        if self._format.envelope:
            if ends := list(self._end.finditer(text)):
                self.header, self._is_within = self._around, False
                text = text[ends[-1].end() :]
            if not self._is_within and (start := self._start.search(text)):
                self._around = self.header = self.header | self._said(text[: start.start()])
                self._is_within, text = True, text[start.end() :]
        self.header = self.header | self._said(text)

    def _said(self, text: bytes) -> dict[str, str]:
        found = {name: value.search(text) for name, value in self._values.items()}
        said = {
            name: match[1].strip().decode("utf-8", "replace")
            for name, match in found.items()
            if match
        }
        return {name: value for name, value in said.items() if value}


def _bytes_of(source: BinaryIO, scratch: Path | None) -> tuple[_Document, bytes]:
    """Return the document in an encoding that contains ASCII, and the name of that encoding."""
    source.seek(0)
    data: _Document = source.read(IN_MEMORY_BYTES + 1)
    if b"\0" in data[:4] or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        if len(data) > IN_MEMORY_BYTES:
            raise _too_large(IN_MEMORY_BYTES)
        wide = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
        name = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else wide
        try:
            return bytes(data).decode(name).encode("utf-8"), b"utf-8"
        except UnicodeDecodeError as exc:
            raise UnreadableDelivery(f"The document is not {name.upper()} throughout.") from exc
    if len(data) > IN_MEMORY_BYTES:
        data = _mapped(source, scratch)
    declared = _DECLARED.match(data)
    return data, declared[1] if declared else b"utf-8"


def _mapped(source: BinaryIO, scratch: Path | None) -> mmap.mmap:
    """Return a document that stays on disk."""
    source.seek(0)
    try:
        return mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ)
    except io.UnsupportedOperation:  # a member of an archive
        with TemporaryFile(dir=scratch) as copy:
            left = MAX_SALVAGE_BYTES + 1
            while left > 0 and (chunk := source.read(min(STEP_BYTES, left))):
                left -= copy.write(chunk)
            if left <= 0:
                raise _too_large(MAX_SALVAGE_BYTES) from None
            copy.flush()
            return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)


def _too_large(limit: int) -> OversizedDelivery:
    return OversizedDelivery(
        "The document is not well-formed and too large to look for its good records: "
        f"more than {limit:,} bytes."
    )


def _pieces(data: _Document, format: Format) -> Iterator[tuple[int, int]]:
    """Yield where each record element begins and ends; one that is not closed ends at the next."""
    names = (format.record,) if isinstance(format.record, str) else format.record
    record = rb"(?:[\w.-]+:)?(?:%s)" % b"|".join(re.escape(name.encode()) for name in names)
    mark = re.compile(
        rb"%s|(?P<open><%s(?=[\s/>]))|(?P<close></%s\s*>)" % (_ASIDE.pattern, record, record)
    )
    start = None
    for found, end in _outside(data, mark):
        if found["open"]:
            if start is not None:
                yield start, found.start()
            start = found.start()
        elif found["close"] and start is not None:
            yield start, end
            start = None
    if start is not None:
        yield start, len(data)


def _plain(text: bytes) -> bytes:
    """Return a text without its comments, sections and instructions: nothing in them counts."""
    kept, position = [], 0
    for found, end in _outside(text, _ASIDE):
        kept.append(text[position : found.start()])
        position = end
    return b"".join((*kept, text[position:]))


def _outside(data: _Document, mark: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], int]]:
    """Yield what is marked outside of asides, and these as a whole, with where it ends."""
    unclosed: set[bytes] = set()
    position = 0
    while found := mark.search(data, position):
        position = found.end()
        if aside := found["aside"]:
            close = _ASIDES[aside]
            end = -1 if aside in unclosed else data.find(close, position)
            if end < 0:
                unclosed.add(aside)  # looked for once: a second search would find as little
                continue
            position = end + len(close)
        yield found, position


class _Parsing:
    """Parses pieces one after the other, each as if it stood where it stands in the document."""

    def __init__(self, encoding: bytes) -> None:
        self._encoding = encoding
        self._parser = safe_parser()

        class Placed(etree.ElementBase):
            """An element of the piece; the parser itself keeps no line beyond 65,535."""

            lines_before = 0

            @property
            def sourceline(self) -> int:  # type: ignore[override]
                return int(str(super().sourceline)) + self.lines_before

        self._placed = Placed
        self._parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=Placed))

    def parsed(self, piece: bytes, line: int, envelope: _Envelope) -> Record | Rejected:
        """Return the record of a piece that begins at ``line``, or why it cannot be read."""
        if has_too_much_markup(piece):
            return Rejected(line, TOO_MUCH_MARKUP)
        self._placed.lines_before = line - 1
        spaces = b" ".join(b"%s=%s" % space for space in envelope.namespaces.items())
        head = b'<?xml version="1.0" encoding="%s"?><salvaged %s>' % (self._encoding, spaces)
        try:
            root = etree.fromstring(head + piece + b"</salvaged>", self._parser)
        except etree.XMLSyntaxError as exc:
            return Rejected(line + (exc.lineno or 1) - 1, reason_of(exc, line - 1, "salvaged"))
        return Record(root[0], envelope.header)
