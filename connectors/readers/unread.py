"""Why a document, or a piece of one, was not read; and what one without records may be.

The parser's words become the hub's errors here: they name a place within a piece, and advise to
lift a limit. Reading is ``xml``; what is said without parsing is ``raw_xml``.
"""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import BinaryIO

from lxml import etree

from connectors.readers.raw_xml import closes_root
from connectors.readers.xml_guards import PARSER_SETTINGS, MalformedDocument
from ipregister.elements import local_name
from ipregister.errors import IncompleteDelivery, OversizedDelivery, UnreadableDelivery

_NUMBERS = (
    *("ApplicationNumber", "RegistrationNumber", "DesignApplicationNumber"),
    *("ApplicationNumberText", "ST13ApplicationNumber", "PublicationNumber"),
    *("doc-number", "B110", "B210"),
)
"""Where ST.66 and ST.86, then ST.96 and ST.36 write the number of a record."""

_NUMBER_TAGS = [f"{{*}}{name}" for name in _NUMBERS]

_PLACE = re.compile(r",? line [0-9]+, column [0-9]+$")
_OPENED = re.compile(r" line ([0-9]+) and (\S+)$")


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """An element beside the records that names one, as no record of the format does."""

    line: int
    name: str
    number: str


@dataclass(frozen=True, slots=True)
class OtherElement:
    """An element beside the records with a text that is read nowhere; its path from the root."""

    line: int
    path: str


def root_name(source: BinaryIO) -> str:
    """Return the local name of a document's root element and leave ``source`` at its start.

    Raises:
        UnreadableDelivery: there is no root element to be read.
    """
    try:
        for _, element in etree.iterparse(source, events=("start",), **PARSER_SETTINGS):
            return local_name(element.tag)
    except etree.XMLSyntaxError as exc:
        raise translated(exc, source) from exc
    finally:
        source.seek(0)
    raise IncompleteDelivery("The file has no XML element.")


def names_a_record(source: BinaryIO) -> bool:
    """Tell whether a document holds a record's number in any of WIPO's standards.

    A document without the records of a format may be an empty one, or one of another format,
    whose records must not get lost unseen. ``source`` is left at its start.

    Args:
        source: a document that can be parsed.
    """
    source.seek(0)
    numbers = etree.iterparse(source, tag=_NUMBER_TAGS, **PARSER_SETTINGS)
    found = any((element.text or "").strip() for _, element in numbers)
    source.seek(0)
    return found


def beside_records(
    root: etree._Element, records: Set[str], known: Set[str]
) -> Iterator[OtherRecord | OtherElement]:
    """Yield what ``other_records`` finds in a document that has records."""
    # Where there is one way down, it leads to them: most documents hold one, six levels down.
    while local_name(root.tag) not in records:
        inside = [child for child in root if len(child)]
        if len(inside) != 1:
            yield from other_records(root, records, known)
            return
        if len(root) > 1:
            for child in root:
                if not len(child):
                    yield from other_records(child, records, known)
        root = inside[0]


def other_records(
    element: etree._Element, records: Set[str], known: Set[str]
) -> Iterator[OtherRecord | OtherElement]:
    """Yield the outermost elements of a tree that hold a number or a text, and are in no record.

    In an update they would be missed, in a full extraction what they tell of would vanish. What
    holds no number may still say something of a record, as applicants of a transaction do.

    Args:
        element: a part of a document in which records were found.
        records: local names of the format's records.
        known: local names of what holds no number and says nothing of a record.
    """
    if (name := local_name(element.tag)) in records:
        return
    if len(element) and name not in _NUMBERS:
        if next(element.iter(*[f"{{*}}{record}" for record in records]), None) is not None:
            for child in element:
                yield from other_records(child, records, known)
            return
        for number in element.iter(*_NUMBER_TAGS):
            if text := (number.text or "").strip():
                holder = next(
                    each for each in number.iterancestors() if local_name(each.tag) not in _NUMBERS
                )
                yield OtherRecord(int(str(holder.sourceline)), local_name(holder.tag), text)
                return
    if name not in known and any(str(text).strip() for text in element.itertext()):
        around = [element, *element.iterancestors()]
        path = "".join(f"/{local_name(each.tag)}" for each in reversed(around))
        yield OtherElement(int(str(element.sourceline)), path)


def translated(
    exc: etree.XMLSyntaxError, source: BinaryIO
) -> UnreadableDelivery | OversizedDelivery:
    """Return the hub's own error for what the parser says of a whole document."""
    line, reason = exc.lineno or 1, exc.msg or "not well-formed"
    source.seek(0)
    if not source.read(1):
        return IncompleteDelivery("The file is empty (0 bytes).")
    if limit := _limit_met(reason):
        return OversizedDelivery(f"Line {line}: {limit}.")
    if not closes_root(source):
        return IncompleteDelivery(
            f"The document ends at line {line} before its first element is closed."
        )
    return MalformedDocument(reason, line)


def reason_of(exc: etree.XMLSyntaxError, lines_before: int, around: str) -> str:
    """Return why a piece of a document cannot be read, without the place within the piece.

    Args:
        exc: what the parser says of the piece.
        lines_before: the lines of the document before the piece.
        around: the element the piece was put into; the office does not know it.
    """
    reason = exc.msg or "not well-formed"

    def in_document(said: re.Match[str]) -> str:
        closed = "the end of the record" if said[2] == around else said[2]
        return f" line {int(said[1]) + lines_before} and {closed}"

    return _limit_met(reason) or _OPENED.sub(in_document, _PLACE.sub("", reason)).strip()


def _limit_met(reason: str) -> str | None:
    """Say which of the parser's limits was met; its own words advise to lift it."""
    said = reason.lower()
    if "depth" in said:
        return "elements are nested deeper than 256 levels"
    if any(word in said for word in ("huge", "too big", "too long")):
        return "one text has more than 10 million characters; send pictures as files of their own"
    return None
