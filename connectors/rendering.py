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

    A record as normalisation makes it is put into table order by ``msgspec``, in less
    than half the time it takes here. What that refuses is cleaned member by member: rows read
    back from Arrow have gaps.
    """

    def __init__(self, table: Table) -> None:
        """Compile the fields of ``table`` class by class."""
        self._classes = tuple(
            (
                name,
                _type_of(name, members, has_identity=name is Disclosure.CORE),
                _Object(members),
            )
            for name in Disclosure
            for members in (table.of_class(name),)
        )
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, row: Mapping[str, object]) -> Fragments:
        """Return the fragments of one canonical row; it must have a ``recordId``."""
        fragments: Fragments = {}
        for disclosure, kind, plan in self._classes:
            is_core = disclosure is Disclosure.CORE
            try:
                encoded = self._encode(msgspec.convert(row, kind))
            except msgspec.ValidationError:
                encoded = self._cleaned(row, plan, is_core=is_core)
            else:
                if _EMPTY in encoded and encoded != _EMPTY:
                    encoded = self._cleaned(row, plan, is_core=is_core)
            if is_core:
                fragments[disclosure] = encoded[:-1]
            else:
                fragments[disclosure] = b"" if encoded == _EMPTY else b"," + encoded[1:-1]
        return fragments

    def _cleaned(self, row: Mapping[str, object], plan: "_Object", *, is_core: bool) -> bytes:
        values = plan.clean(row, tuple(row))
        return self._encode({"recordId": row["recordId"]} | values if is_core else values)


_EMPTY = b"{}"
"""An object without members; inside a record (or a text of it) a reason to look closely."""

_Text = Annotated[str, msgspec.Meta(min_length=1)]


def _type_of(name: str, members: Iterable[Member], *, has_identity: bool = False) -> type:
    """Return the type of objects with these members in this order, none of them empty."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        (member.name, _value_type(member) | None, None)
        for member in members
        if not (has_identity and member.name == "recordId")
    ]
    if has_identity:
        fields.insert(0, ("recordId", str))
    return msgspec.defstruct(name, fields, omit_defaults=True, gc=False)


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
