"""XML documents into record elements, streamed, with the hub's guards.

No entities, no network, no DTD, never ``recover``: a parser that repairs turns ``A&B Co``
into ``A Co`` and nobody notices. What a record means is ``ipregister.mapping``; which
elements hold records and envelope values is the format's YAML.
"""

import threading
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import BinaryIO

from lxml import etree

from connectors.readers.raw_xml import PROLOG_BYTES, refuse_internal_subset
from connectors.readers.unread import (
    OtherElement,
    OtherRecord,
    beside_records,
    other_records,
    translated,
)
from connectors.readers.xml_guards import (
    PARSER_SETTINGS,
    Metered,
    has_doctype,
    has_too_much_markup,
    refuse_namespace_errors,
    safe_parser,
)
from ipregister.elements import local_name
from ipregister.profiles import Format

WHOLE_BYTES = 8 << 20
"""Documents up to here are parsed whole, a tree of some 60 MB at most: reading and mapping a
record of a file of 1,000 takes 135 instead of 179 µs by events (a single one 25 µs less)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record element and what its envelope said; valid until the next one is read."""

    element: etree._Element
    header: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read: where it is and why."""

    line: int
    reason: str


Found = Record | Rejected | OtherRecord | OtherElement


def records(source: BinaryIO, format: Format) -> Iterator[Found]:
    """Yield the records of one XML document in document order.

    Args:
        source: open for reading and seekable.
        format: which elements are records and which belong to the envelope.

    Yields:
        Record elements as lxml elements; in a large document each is emptied when the next is
        asked for, so memory is bounded by ``WHOLE_BYTES`` and the largest record. One that
        refers to an entity nobody declared is rejected: what it should say is unknown. Beside
        records, elements that name one but are none, and others whose text is read nowhere.

    Raises:
        MalformedDocument: not well-formed; records before the fault were yielded when the
            document is larger than ``WHOLE_BYTES``.
        IncompleteDelivery: the document ends before its root is closed.
        UnreadableDelivery: a document type declaration with an internal subset.
        OversizedDelivery: deeper than 256 elements, a text beyond 10 MB, or
            ``RECORD_BYTES`` or ``RECORD_MARKUP`` without the end of a record.
    """
    document = source.read(WHOLE_BYTES + 1)  # of a source in memory this is no copy
    refuse_internal_subset(document[:PROLOG_BYTES])
    source.seek(0)
    try:
        if len(document) <= WHOLE_BYTES and not has_too_much_markup(document):
            yield from _of_small(document, format)
        else:
            del document
            yield from _of_large(source, format)
    except etree.XMLSyntaxError as exc:
        raise translated(exc, source) from exc


class _ThreadParser(threading.local):
    """One parser per thread: the first document of a parser costs 8 µs more than the others."""

    def __init__(self) -> None:
        self.parser = safe_parser()


_of_thread = _ThreadParser()


def _of_small(document: bytes, format: Format) -> Iterator[Found]:
    """Read a document that is in memory whole: cheaper than by events, see ``WHOLE_BYTES``."""
    parser = _of_thread.parser
    root = etree.fromstring(document, parser)
    errors = parser.error_log  # a copy: the next document empties the parser's own
    reading = _Reading(format, is_whole=True)
    for element in root.iter(*_wanted(format)):
        if found := reading.take(element, errors):
            yield found
    if reading.has_records:
        yield from beside_records(root, reading.names, format.known_beside)


def _of_large(source: BinaryIO, format: Format) -> Iterator[Found]:
    metered = Metered(source)
    events = etree.iterparse(
        metered,
        events=("end",),
        tag=_wanted(format),
        **PARSER_SETTINGS,
    )
    reading = _Reading(format)
    for _, element in events:
        if found := reading.take(element, events.error_log):
            yield found
            yield from _forget(element, reading.names, format.known_beside)
            metered.since = metered.markup = 0
    if reading.has_records:
        yield from other_records(events.root, reading.names, format.known_beside)


def _wanted(format: Format) -> list[str]:
    names = [*_names(format), *format.header]
    if format.envelope:
        names.append(format.envelope)
    return [f"{{*}}{name}" for name in names]


def _names(format: Format) -> tuple[str, ...]:
    return (format.record,) if isinstance(format.record, str) else format.record


class _Reading:
    """What is known while one document is read: its envelope, and whether it names a type."""

    def __init__(self, format: Format, *, is_whole: bool = False) -> None:
        self.format, self.names = format, frozenset(_names(format))
        self.is_whole = is_whole
        self.header: dict[str, str] = {}
        self.around: dict[str, str] = {}  # what stands outside every envelope
        self.has_doctype: bool | None = None
        self.has_records = False

    def take(
        self, element: etree._Element, errors: etree._ListErrorLog
    ) -> Record | Rejected | None:
        """Return the record an element is, or keep what it says of the envelope."""
        name = local_name(element.tag)
        if name in self.names:
            self.has_records = True
            refuse_namespace_errors(errors)
            if self.has_doctype is None:
                self.has_doctype = has_doctype(element)
            unknown = _undeclared_entity(element) if self.has_doctype else None
            return unknown or Record(element, self.header)
        if name == self.format.envelope:
            self.header = dict(self.around)
            if self.is_whole:  # else its end is not known before its records are read
                self._look_behind(element)
        elif element.text and (text := element.text.strip()):
            said = self.format.header[name]
            self.header[said] = text
            if not _is_within(element, self.format.envelope):
                self.around[said] = text
        return None

    def _look_behind(self, envelope: etree._Element) -> None:
        """Keep what an envelope says behind its records; what stands before them counts more."""
        for element in envelope.iterchildren("*", reversed=True):
            if (said := self.format.header.get(local_name(element.tag))) is None:
                return
            if text := (element.text or "").strip():
                self.header[said] = text


def _is_within(element: etree._Element, envelope: str | None) -> bool:
    return (
        envelope is not None and next(element.iterancestors(f"{{*}}{envelope}"), None) is not None
    )


def _undeclared_entity(element: etree._Element) -> "Rejected | None":
    for reference in element.iter(etree.Entity):
        return Rejected(
            int(str(reference.sourceline)),
            f"the reference {reference.text} is not declared; write the character itself",
        )
    return None


def _forget(
    element: etree._Element, names: Set[str], known: Set[str]
) -> Iterator[OtherRecord | OtherElement]:
    """Free a record and everything before it, up to the root; tell what was no record there."""
    element.clear()
    node: etree._Element | None = element
    while node is not None and (parent := node.getparent()) is not None:
        while node.getprevious() is not None:
            yield from other_records(parent[0], names, known)
            del parent[0]
        node = parent
