"""Records as XML with the element names of WIPO ST.96, as ``tables/*.yaml`` give them.

Every member that has an ST.96 name is an element of that name in its ST.96 namespace; every
other is an element of the hub's own namespace with the table's name. Nesting is the table's,
not that of an ST.96 document, and values are the register's, also where ST.96 has words of its
own: most leaves validate against the ST.96 schemas, whole records do not. There are no
identifiers, references, comments or ``xsi:nil``: what is not there leaves no trace.

Standards: WIPO ST.96 V6_0 (names), XML 1.0.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from ipregister.model import Member, Right, load_tables

HUB = "urn:asean-ip-hub:register:1"

NAMESPACES = {
    "hub": HUB,
    "com": "http://www.wipo.int/standards/XMLSchema/ST96/Common",
    "tmk": "http://www.wipo.int/standards/XMLSchema/ST96/Trademark",
    "pat": "http://www.wipo.int/standards/XMLSchema/ST96/Patent",
    "dgn": "http://www.wipo.int/standards/XMLSchema/ST96/Design",
}
"""Prefixes; those of ST.96 carry no version, the version is ``com:st96Version``."""

_PREFIX = {Right.TRADEMARKS: "tmk", Right.PATENTS: "pat", Right.DESIGNS: "dgn"}

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
"""Characters no XML 1.0 document can hold, not even escaped."""

NUMBERED = frozenset({"com:AddressLineText"})
"""Elements ST.96 wants numbered when they are repeated."""

_Write = Callable[[Any, list[str]], None]


@dataclass(frozen=True, slots=True)
class Element:
    """How one member is written: its element, and the element of each entry of a list.

    ``item`` is the entry inside a bag (``PriorityBag/Priority``); without one, the element
    itself is repeated.
    """

    member: Member
    name: str
    item: str | None = None


def elements(members: Sequence[Member]) -> Iterator[Element]:
    """Yield the elements of sibling members; no two have the same name."""
    taken: set[str] = set()
    for member in members:
        name = member.st96 or f"hub:{member.name}"
        if name in taken:  # ST.96 has one bag where the register has two disclosure classes
            name = f"hub:{member.name}"
        taken.add(name)
        many = member.type in ("list", "strings", "texts")
        bag = many and name.endswith("Bag")
        yield Element(member, name, name.removesuffix("Bag") if bag else None)


class XmlEncoder:
    """Records to one XML document, piece by piece."""

    def __init__(self, right: Right) -> None:
        """Start a document of one right."""
        self._plan = _plan(right)
        used = ("hub", "com", _PREFIX[right])
        declared = " ".join(f'xmlns:{name}="{NAMESPACES[name]}"' for name in used)
        self._start = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<hub:Records {declared} com:st96Version="V6_0">\n'
        )

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Return records as elements."""
        out = [self._take_start()]
        for body in bodies:
            out.append("<hub:Record>")
            record = msgspec.json.decode(body)
            for name, write in self._plan:
                if name in record:
                    write(record[name], out)
            out.append("</hub:Record>\n")
        return "".join(out).encode()

    def finish(self) -> bytes:
        """Return the end of the document."""
        return f"{self._take_start()}</hub:Records>\n".encode()

    def _take_start(self) -> str:
        start, self._start = self._start, ""
        return start


@cache
def _plan(right: Right) -> tuple[tuple[str, _Write], ...]:
    return _writers(load_tables()[right].fields)


def _writers(members: Sequence[Member]) -> tuple[tuple[str, _Write], ...]:
    return tuple((element.member.name, _writer(element)) for element in elements(members))


def _writer(element: Element) -> _Write:
    """Return what writes a value of one member."""
    each = _entry(element.member, element.item or element.name)
    if element.member.type not in ("list", "strings", "texts"):
        return each

    def repeated(values: Sequence[Any], out: list[str]) -> None:
        if element.item:
            out.append(f"<{element.name}>")
        for number, value in enumerate(values, 1):
            if element.name in NUMBERED:
                start = f'<{element.name} com:sequenceNumber="{number}">'
                out.append(f"{start}{_escaped(str(value))}</{element.name}>")
            else:
                each(value, out)
        if element.item:
            out.append(f"</{element.name}>")

    return repeated


def _entry(member: Member, name: str) -> _Write:
    """Return what writes one value as the element ``name``."""
    start, end = f"<{name}>", f"</{name}>"
    match member.type:
        case "struct" | "list":
            return _object(start, _writers(member.fields), end)
        case "texts":
            return _text(name)
        case "boolean":
            return lambda value, out: out.append(f"{start}{'true' if value else 'false'}{end}")
        case _:
            return lambda value, out: out.append(f"{start}{_escaped(str(value))}{end}")


def _object(start: str, writers: tuple[tuple[str, _Write], ...], end: str) -> _Write:
    def write(value: Mapping[str, Any], out: list[str]) -> None:
        out.append(start)
        for name, inner in writers:
            if name in value:
                inner(value[name], out)
        out.append(end)

    return write


def _text(name: str) -> _Write:
    def write(value: Mapping[str, str], out: list[str]) -> None:
        language = value.get("languageCode")
        mark = f" com:languageCode={quoteattr(language)}" if language else ""
        out.append(f"<{name}{mark}>{_escaped(value.get('text', ''))}</{name}>")

    return write


def _escaped(text: str) -> str:
    # A carriage return would be read back as a line feed (XML 1.0 §2.11).
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})
