"""The good records of a document that is not well-formed.

One bad character must not cost an office a hundred thousand records. Where the parser gave
up, the rest of the document is cut at its record elements and each is parsed alone, by the
same strict parser; those that still do not parse are rejected with their line. Bytes stay
the office's own: nothing is decoded on the way and nothing repaired.
"""

import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from lxml import etree

from connectors.readers.unread import reason_of
from connectors.readers.xml import (
    TOO_MUCH_MARKUP,
    Record,
    Rejected,
    has_too_much_markup,
    safe_parser,
)
from ipregister.errors import OversizedDelivery, UnreadableDelivery
from ipregister.profiles import Format

MAX_SALVAGE_BYTES = 256 << 20
"""A broken document is held in memory once while it is cut up; larger ones are refused."""

MAX_PREFIXES = 256
"""Declared outside the records; each piece is parsed with all of them."""

_DECLARED = re.compile(rb"<\?xml[^>]*encoding=[\"']([\w.-]+)")
_NAMESPACE = re.compile(rb"(xmlns(?::[\w.-]+)?)\s*=\s*(\"[^\"<]*\"|'[^'<]*')")
_ASIDES = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}


def salvage(source: BinaryIO, format: Format, already_read: int) -> Iterator[Record | Rejected]:
    """Yield the records after the first ``already_read`` of a malformed document.

    Args:
        source: the document, seekable.
        format: names of the record and envelope elements.
        already_read: records the strict parser yielded before it gave up.

    Raises:
        OversizedDelivery: the document is too large to be cut up, or declares namespaces
            without end.
        UnreadableDelivery: its encoding is broken, so that nothing can be found in it.
    """
    data, encoding = _bytes_of(source)
    envelope = _Envelope(format)
    position, line, counted_to = 0, 1, 0
    for number, (start, end) in enumerate(_pieces(data, format)):
        envelope.read(data[position:start])
        if number >= already_read:
            line, counted_to = line + data.count(b"\n", counted_to, start), start
            if has_too_much_markup(data, start, end):
                yield Rejected(line, TOO_MUCH_MARKUP)
            else:
                yield _parsed(data[start:end], line, encoding, envelope)
        position = end


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


def _bytes_of(source: BinaryIO) -> tuple[bytes, bytes]:
    """Return the document in an encoding that contains ASCII, and the name of that encoding."""
    source.seek(0)
    data = source.read(MAX_SALVAGE_BYTES + 1)
    if len(data) > MAX_SALVAGE_BYTES:
        raise OversizedDelivery(
            "The document is not well-formed and too large to look for its good records: "
            f"more than {MAX_SALVAGE_BYTES:,} bytes."
        )
    if b"\0" in data[:4] or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        wide = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
        name = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else wide
        try:
            return data.decode(name).encode("utf-8"), b"utf-8"
        except UnicodeDecodeError as exc:
            raise UnreadableDelivery(f"The document is not {name.upper()} throughout.") from exc
    declared = _DECLARED.match(data)
    return data, declared[1] if declared else b"utf-8"


def _pieces(data: bytes, format: Format) -> Iterator[tuple[int, int]]:
    """Yield where each record element begins and ends; one that is not closed ends at the next."""
    names = (format.record,) if isinstance(format.record, str) else format.record
    record = rb"(?:[\w.-]+:)?(?:%s)" % b"|".join(re.escape(name.encode()) for name in names)
    mark = re.compile(
        rb"(?P<aside><!--|<!\[CDATA\[|<\?)|(?P<open><%s(?=[\s/>]))|(?P<close></%s\s*>)"
        % (record, record)
    )
    unclosed: set[bytes] = set()
    position, start = 0, None
    while found := mark.search(data, position):
        position = found.end()
        if aside := found["aside"]:
            end = -1 if aside in unclosed else data.find(_ASIDES[aside], position)
            if end < 0:
                unclosed.add(aside)  # looked for once: a second search would find as little
            else:
                position = end
        elif found["open"]:
            if start is not None:
                yield start, found.start()
            start = found.start()
        elif start is not None:
            yield start, position
            start = None
    if start is not None:
        yield start, len(data)


def _parsed(piece: bytes, line: int, encoding: bytes, envelope: _Envelope) -> Record | Rejected:
    spaces = b" ".join(b"%s=%s" % space for space in envelope.namespaces.items())
    head = b'<?xml version="1.0" encoding="%s"?><salvaged %s>' % (encoding, spaces)
    parser = safe_parser()
    try:
        element = etree.parse(io.BytesIO(head + piece + b"</salvaged>"), parser).getroot()[0]
    except etree.XMLSyntaxError as exc:
        return Rejected(line + (exc.lineno or 1) - 1, reason_of(exc))
    for part in element.iter():
        part.sourceline = int(str(part.sourceline)) + line - 1
    return Record(element, envelope.header)
