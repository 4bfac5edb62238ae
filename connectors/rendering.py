"""One record as JSON bytes, cut into one fragment per disclosure class.

Rendered once, when a record is normalised: an answer is the core fragment, the allowed
others in the order of ``Disclosure``, and ``}``. Member order is the table's, and nothing is
written for nothing (``None``, an empty text, list or object), so a row read back from Arrow
renders to the same bytes. A member the table does not know is not rendered. Where fragments
are kept and who may read them does not belong here.

Standards: RFC 8259 (JSON), names of WIPO ST.97, dates as RFC 3339 ``full-date``.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from ipregister.model import Disclosure, Member, Table

Fragments = dict[Disclosure, bytes]
"""Every class, in order. ``core`` opens the object and leaves it open; each other starts with
a comma, or is empty when the record has nothing of that class."""

_CLASSES = tuple(Disclosure)
_Cleaner = Callable[[object], object]
_Members = tuple[tuple[str, _Cleaner | None], ...]

HASH_BYTES = 16
"""128 bits: equality of versions, not a signature; half the width of a register column."""

SHAPES = 4_096
"""Sets of members remembered per kind of object; a register has a few dozen of them."""


class Renderer:
    """Renders the records of one table: compiled once, then used for all.

    A record as normalisation makes it is put into table order by ``msgspec``, in one piece, and
    cut where a class begins. What that refuses is cleaned member by member: rows read back from
    Arrow have gaps.
    """

    def __init__(self, table: Table) -> None:
        """Compile the fields of ``table`` class by class."""
        self._whole = _type_of_record(table)
        self._plans = {name: _Object(table.of_class(name)) for name in Disclosure}
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, row: Mapping[str, object]) -> Fragments:
        """Return the fragments of one canonical row; it must have a ``recordId``."""
        try:
            rest = self._encode(msgspec.convert(row, self._whole))[:-1]
        except msgspec.ValidationError:
            return self._cleaned(row)
        if _EMPTY in rest:
            return self._cleaned(row)
        fragments: Fragments = {}
        for disclosure, end in _ENDS:
            fragments[disclosure], _, rest = rest.partition(end)
        return fragments

    def _cleaned(self, row: Mapping[str, object]) -> Fragments:
        fragments: Fragments = {}
        for disclosure, plan in self._plans.items():
            values = plan.clean(row, tuple(row))
            if disclosure is Disclosure.CORE:
                fragments[disclosure] = self._encode({"recordId": row["recordId"]} | values)[:-1]
            else:
                fragments[disclosure] = b"," + self._encode(values)[1:-1] if values else b""
        return fragments


_EMPTY = b"{}"
"""An object without members; inside a record (or a text of it) a reason to look closely."""

_ENDS = tuple(
    (disclosure, f',"|{after}":0'.encode())
    for disclosure, after in zip(_CLASSES, [*_CLASSES[1:], "end"], strict=True)
)
"""What ends each class in a record that is rendered whole: a member no table has. No text
can look like it, for a quotation mark inside a text has a backslash before it."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]

_Member = tuple[str, Any, Any]
"""Name, type and default of a member, as ``msgspec.defstruct`` takes it."""


def _type_of_record(table: Table) -> type:
    """Return the type of whole records: identity, then class by class, each after its cut."""
    members: list[tuple[str, Any] | _Member] = [("recordId", str)]
    for disclosure in _CLASSES:
        if disclosure is not Disclosure.CORE:
            # Made afresh for every record, so that it is never left out as a default.
            members.append((f"cut_{disclosure}", int, msgspec.field(default_factory=int)))
        members += [each for each in _members(table.of_class(disclosure)) if each[0] != "recordId"]
    cuts = {f"cut_{disclosure}": f"|{disclosure}" for disclosure in _CLASSES}
    return msgspec.defstruct("record", members, rename=cuts, omit_defaults=True, gc=False)


def _type_of(name: str, members: Iterable[Member]) -> type:
    """Return the type of objects with these members in this order, none of them empty."""
    return msgspec.defstruct(name, _members(members), omit_defaults=True, gc=False)


def _members(members: Iterable[Member]) -> list[_Member]:
    return [(member.name, _value_type(member) | None, None) for member in members]


def _value_type(member: Member) -> Any:
    match member.type:
        case "string":
            return _Text
        case "strings":
            return _filled(_Text)
        case "date":
            return date
        case "integer":
            return int
        case "boolean":
            return bool
        case "texts":
            return _filled(_LocalisedText)
        case "struct":
            return _type_of(member.name, member.fields)
        case "list":
            return _filled(_type_of(member.name, member.fields))


def _filled(item: Any) -> Any:
    return Annotated[list[item], msgspec.Meta(min_length=1)]


class _LocalisedText(msgspec.Struct, omit_defaults=True, gc=False):
    """One text of a list of texts."""

    text: _Text | None = None
    languageCode: _Text | None = None


def render_fragments(table: Table, row: Mapping[str, object]) -> Fragments:
    """Return the fragments of one canonical row of ``table``."""
    return _renderer(table)(row)


def class_hashes(fragments: Mapping[Disclosure, bytes]) -> dict[Disclosure, str]:
    """Return one hash per class (hex); empty text for a class the record has nothing of."""
    return {
        name: blake2b(fragment, digest_size=HASH_BYTES).hexdigest() if fragment else ""
        for name, fragment in fragments.items()
    }


def content_hash(classes: Mapping[Disclosure, str]) -> str:
    """Return the hash of the whole record (hex) from the hashes of its classes."""
    whole = ",".join([classes[name] for name in _CLASSES])
    return blake2b(whole.encode(), digest_size=HASH_BYTES).hexdigest()


class _Object:
    """The members of one object in table order; what an object lacks is not looked for.

    Records repeat a few sets of members. Remembering for each which the table has, in table
    order, saves looking for every member of the table in every object (14 instead of 25 µs
    per record).
    """

    __slots__ = ("_members", "_shapes")

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = tuple((member.name, _cleaner(member)) for member in members)
        self._shapes: dict[tuple[str, ...], _Members] = {}

    def clean(self, values: Mapping[str, object], shape: tuple[str, ...]) -> dict[str, object]:
        """Return what ``values`` has to say, in table order; ``shape`` is its keys."""
        kept: dict[str, object] = {}
        members = self._shapes.get(shape)
        for name, cleaner in self._present(shape) if members is None else members:
            value = values[name]
            if cleaner is not None:
                value = cleaner(value)
            if value or value is False or value == 0:
                kept[name] = value
        return kept

    def _present(self, shape: tuple[str, ...]) -> _Members:
        if len(self._shapes) >= SHAPES:
            self._shapes.clear()
        present = self._shapes[shape] = tuple(
            member for member in self._members if member[0] in shape
        )
        return present


def _cleaner(member: Member) -> _Cleaner | None:
    match member.type:
        case "struct":
            return _struct(_Object(member.fields))
        case "list":
            return _list(_Object(member.fields))
        case "texts":
            return _texts
        case "strings":
            return _strings
        case _:
            return None


def _struct(plan: _Object) -> _Cleaner:
    def clean(value: object) -> object:
        return plan.clean(value, tuple(value)) if isinstance(value, Mapping) else None

    return clean


def _texts(value: object) -> object:
    if not isinstance(value, list | tuple):
        return None
    for item in value:
        if not item or not all(item.values()):
            return [kept for item in value if item and (kept := _text(item))]
    return value  # as normalisation makes them; only what Arrow gives back has gaps


def _text(item: Mapping[str, object]) -> dict[str, object]:
    return {name: text for name in ("text", "languageCode") if (text := item.get(name))}


def _list(plan: _Object) -> _Cleaner:
    def clean(value: object) -> object:
        if not isinstance(value, list | tuple):
            return None
        return [kept for item in value if item and (kept := plan.clean(item, tuple(item)))]

    return clean


def _strings(value: object) -> object:
    if not isinstance(value, list | tuple):
        return None
    return value if all(value) else [text for text in value if text]


@lru_cache(maxsize=16)
def _renderer(table: Table) -> Renderer:
    return Renderer(table)
