"""What an XML parser may not do, and how much one record may hold.

Beside the settings of the parser stands what they let through: namespace errors, types with an
internal subset, a record that would fill the memory. Reading records is ``xml``.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final, Protocol, TypedDict

from lxml import etree

from connectors.readers.raw_xml import internal_subset
from ipregister.errors import OversizedDelivery, UnreadableDelivery

RECORD_BYTES = 64 << 20
"""XML read without meeting the end of a record; beyond it a document could fill the memory."""

RECORD_MARKUP = 500_000
"""Tags and attributes of one record; a patent with all its text has some 50,000. An element of
four bytes takes 230 in memory: 60 MB of them, which ``RECORD_BYTES`` lets through, took 4.4 GB."""

TOO_MUCH_MARKUP = f"more than {RECORD_MARKUP:,} tags and attributes"

COUNTED_ABOVE = 1 << 20
"""Bytes in which there cannot be much more than ``RECORD_MARKUP`` of them: not counted."""


class MalformedDocument(UnreadableDelivery):
    """Not well-formed XML; ``line`` is where the parser gave up."""

    code = "malformed_document"

    def __init__(self, detail: str, line: int) -> None:
        """Keep the line beside the sentence."""
        super().__init__(detail)
        self.line = line


class _ParserSettings(TypedDict):
    remove_comments: bool
    remove_pis: bool
    remove_blank_text: bool
    resolve_entities: bool
    no_network: bool
    load_dtd: bool
    huge_tree: bool


PARSER_SETTINGS: Final[_ParserSettings] = {
    "remove_comments": True,
    "remove_pis": True,
    "remove_blank_text": True,
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
}
"""No entities, network and DTD; limits are on, ``recover`` is off. Indentation is not kept: nobody
asks for it, and making it cost a third of the parsing."""


def safe_parser() -> etree.XMLParser:
    """Return a parser with ``PARSER_SETTINGS``."""
    return etree.XMLParser(**PARSER_SETTINGS)


def has_too_much_markup(data: bytes) -> bool:
    """Tell whether there is more markup than one record may have."""
    return len(data) > COUNTED_ABOVE and _markup(data) > RECORD_MARKUP


class Metered:
    """A source that counts what is read between two records."""

    def __init__(self, source: BinaryIO) -> None:
        """Count from the start; set both counts to 0 at the end of a record."""
        self._source, self.since, self.markup = source, 0, 0

    def read(self, size: int = -1, /) -> bytes:
        """Read on.

        Raises:
            OversizedDelivery: ``RECORD_BYTES`` or ``RECORD_MARKUP`` without the end of a record.
        """
        chunk = self._source.read(size)
        self.since += len(chunk)
        if self.since > RECORD_BYTES:
            raise OversizedDelivery(
                f"{self.since:,} bytes without the end of a record; {RECORD_BYTES:,} are allowed."
            )
        if self.since > COUNTED_ABOVE:
            self.markup += _markup(chunk)
            if self.markup > RECORD_MARKUP:
                raise OversizedDelivery(f"A record with {TOO_MUCH_MARKUP}.")
        return chunk


def refuse_namespace_errors(errors: etree._ListErrorLog) -> None:
    """Stop at once where the parser goes on: elements of an undeclared prefix have no meaning.

    Raises:
        MalformedDocument: the parser has met such a prefix, at this record or a little later.
    """
    if not len(errors):
        return
    for error in errors.filter_from_errors():
        if error.domain == etree.ErrorDomains.NAMESPACE:
            raise MalformedDocument(error.message, error.line)


def has_doctype(element: etree._Element) -> bool:
    """Tell whether the document names a type, which lets references pass undeclared.

    Raises:
        UnreadableDelivery: the type has an internal subset that stood too far down to be seen.
    """
    docinfo: Any = element.getroottree().docinfo
    info: _DocumentInfo = docinfo
    declared = info.internalDTD
    if declared is None:
        return False
    if next(declared.iterentities(), None) is not None or declared.elements():
        raise internal_subset()
    return True


class _DocumentType(Protocol):
    def iterentities(self) -> Iterator[object]: ...
    def elements(self) -> list[object]: ...


class _DocumentInfo(Protocol):
    """The part of lxml's document information that its stubs leave out."""

    internalDTD: _DocumentType | None


def _markup(data: bytes) -> int:
    """Count, without parsing, what every tag and every attribute has one of."""
    return data.count(b"<") + data.count(b"=")
