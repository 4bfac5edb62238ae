"""Query parameters: read strictly, described once for programs and for people.

An unknown or repeated parameter is refused: a misspelt filter that is ignored gives away
more than was asked for. Which class of data a filter looks at comes from the tables.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl

from connectors.serving.folding import fold_text
from connectors.serving_store import Count, Filters
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right, load_tables

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000

MAX_VALUES = 20
"""Values of one parameter; each is one more condition on every record."""

MAX_VALUE_CHARACTERS = 200

MIN_SEARCH_CHARACTERS = 2
"""One character is in nearly every record: that is no search."""

SEARCH = "q"
"""The filter that looks into words, free text among them."""

SORT = "sort"

SORTS = {"applicationNumber": False, "-applicationNumber": True}
"""Orders of ``…/records``, and whether they go down: the one that is kept, walked either way. Any
other had to look at the whole register for each page, or be kept as well, for every record filed.
"""

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")

MAX_QUERY_BYTES = 16_384
"""A cursor of all offices and rights is below 4 KiB."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter on records: the field it looks at per right, and its description."""

    fields: Mapping[Right, str]
    description: str
    schema: Mapping[str, object]


_ALL = tuple(Right)
_TEXT: Mapping[str, object] = {"type": "string", "maxLength": MAX_VALUE_CHARACTERS}
_DATE: Mapping[str, object] = {"type": "string", "format": "date"}

FILTERS: dict[str, Filter] = {
    "applicationNumber": Filter(
        dict.fromkeys(_ALL, "applicationNumber"),
        "Application number; case, width and white space do not matter",
        _TEXT,
    ),
    "applicationDateFrom": Filter(
        dict.fromkeys(_ALL, "applicationDate"), "Filed on this day or later", _DATE
    ),
    "applicationDateTo": Filter(
        dict.fromkeys(_ALL, "applicationDate"), "Filed on this day or before", _DATE
    ),
    "registrationNumber": Filter(
        dict.fromkeys(_ALL, "registrationNumber"),
        "Registration number; of an application for several designs that of the first one",
        _TEXT,
    ),
    "status": Filter(dict.fromkeys(_ALL, "status"), "Status; several separated by commas", _TEXT),
    "niceClass": Filter(
        {Right.TRADEMARKS: "goodsServices"},
        "Nice class, 1 to 45; several separated by commas",
        _TEXT,
    ),
    "ipc": Filter(
        {Right.PATENTS: "classifications"},
        "IPC symbol or the beginning of one, such as A61K; several separated by commas",
        _TEXT,
    ),
    "locarnoClass": Filter(
        {Right.DESIGNS: "designs"},
        "Locarno class or class and subclass, such as 14 or 14-03; several separated by commas",
        _TEXT,
    ),
    "q": Filter(
        {Right.TRADEMARKS: "markVerbalElements", Right.PATENTS: "titles", Right.DESIGNS: "designs"},
        "Part of the mark or title; case, width and Latin accents do not matter",
        _TEXT,
    ),
}
"""Filters of ``…/records`` by parameter name."""


@cache
def filter_classes(right: Right) -> dict[str, Disclosure]:
    """Return the filters a right has, with the class of the field each looks at.

    A field the tables do not have is no filter.
    """
    classes = {field.name: field.disclosure for field in load_tables()[right].fields}
    return {
        name: classes[filter_.fields[right]]
        for name, filter_ in FILTERS.items()
        if filter_.fields.get(right) in classes
    }


def read_query(query: bytes, *, allowed: frozenset[str]) -> dict[str, str]:
    """Return the parameters of a query string.

    Raises:
        InvalidRequest: unreadable, or a parameter is unknown, repeated or too long.
    """
    if not query:
        return {}
    if len(query) > MAX_QUERY_BYTES:
        raise InvalidRequest(f"The query has more than {MAX_QUERY_BYTES} bytes.")
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as exc:
        raise InvalidRequest("The query cannot be read: use UTF-8, percent-encoded.") from exc
    values = dict(pairs)
    if unknown := values.keys() - allowed:
        known = ", ".join(sorted(allowed)) or "none"
        # Our own words only: what was sent is not repeated in an answer.
        raise InvalidRequest(f"{len(unknown)} unknown parameter(s). Known here: {known}.")
    if len(values) != len(pairs):
        raise InvalidRequest("A parameter is repeated; separate several values by commas.")
    return values


def read_limit(values: Mapping[str, str]) -> int:
    """Return the page size asked for.

    Raises:
        InvalidRequest: not a whole number from 1 to ``MAX_LIMIT``.
    """
    text = values.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidRequest(f"limit: a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def read_fields(
    values: Mapping[str, str], right: Right, allowed: frozenset[Disclosure]
) -> frozenset[str] | None:
    """Return the fields asked for, among them always ``recordId``; without a choice, all.

    Nothing is returned when one of them is not to be had: whether it is withheld or was never
    a field is the same to the client.

    Raises:
        InvalidRequest: there is a choice, of nothing.
    """
    available = available_fields(right, allowed)
    if "fields" not in values:
        return available
    asked = frozenset(name.strip() for name in values["fields"].split(",")) - {""}
    if not asked:
        raise InvalidRequest("fields: names of fields, separated by commas.")
    return asked | {"recordId"} if asked <= available else None


@cache
def available_fields(right: Right, allowed: frozenset[Disclosure]) -> frozenset[str]:
    """Return the names of the fields of a right that belong to the allowed classes."""
    return frozenset(f.name for f in load_tables()[right].fields if f.disclosure in allowed)


def read_sort(
    values: Mapping[str, str], right: Right, allowed: frozenset[Disclosure]
) -> bool | None:
    """Return whether the order asked for goes down; nothing when it is by a withheld field.

    Records of one number are in the order of their identifiers, in the same direction.

    Raises:
        InvalidRequest: records are not to be had in this order; the message says in which.
    """
    if SORT not in values:
        return False
    keys = [key.strip() for key in values[SORT].split(",")]
    fields = {field.name for field in load_tables()[right].fields}
    withheld = fields - available_fields(right, allowed)
    if not withheld.isdisjoint(key.removeprefix("-") for key in keys):
        return None
    if len(keys) > 1 or keys[0] not in SORTS:
        raise InvalidRequest(f"{SORT}: one of {', '.join(SORTS)}.")
    return SORTS[keys[0]]


def read_count(values: Mapping[str, str]) -> Count:
    """Return what is to be told of the number of records; nothing where nothing is asked.

    Raises:
        InvalidRequest: not one of the words there are.
    """
    text = values.get("count", Count.NONE)
    if text not in list(Count):
        raise InvalidRequest(f"count: one of {', '.join(Count)}.")
    return Count(text)


def read_filters(values: Mapping[str, str], right: Right) -> Filters:
    """Return the filters among ``values``.

    Raises:
        InvalidRequest: a value is empty, too long, not of its kind or no word of a closed
            vocabulary; the message says which words there are.
    """
    given: dict[str, object] = {}
    symbols: dict[str, tuple[str, ...]] = {}
    for name, text in values.items():
        if name not in FILTERS:
            continue
        # What folds to nothing (joiners, accents alone) would be part of every record's words.
        least, said = (
            (MIN_SEARCH_CHARACTERS, fold_text(text)) if name == SEARCH else (1, text.strip())
        )
        if not least <= len(said) or len(text) > MAX_VALUE_CHARACTERS:
            raise InvalidRequest(f"{name}: {least} to {MAX_VALUE_CHARACTERS} characters.")
        if name in _CLOSED:
            _check_words(name, _list(name, text), _CLOSED[name](right))
        if name in _SCHEMES:
            symbols[_SCHEMES[name]] = _list(name, text)
        else:
            given[name] = _READERS.get(name, _text)(name, text)
    return Filters(**given, symbols=symbols)  # type: ignore[arg-type]


def _text(_name: str, text: str) -> str:
    return text


def _list(name: str, text: str) -> tuple[str, ...]:
    values = tuple(part.strip() for part in text.split(",") if part.strip())
    if not 1 <= len(values) <= MAX_VALUES:
        raise InvalidRequest(f"{name}: 1 to {MAX_VALUES} values, separated by commas.")
    return values


def _date(name: str, text: str) -> dt.date:
    try:
        if not _DAY.fullmatch(text):  # fromisoformat also takes week dates
            raise ValueError
        return dt.date.fromisoformat(text)
    except ValueError as exc:
        raise InvalidRequest(f"{name}: a date as YYYY-MM-DD.") from exc


def _check_words(name: str, asked: tuple[str, ...], known: frozenset[str]) -> None:
    """Refuse a word that no record can have: a misspelt one would find nothing, silently."""
    if any(fold_word(word) not in known for word in asked):
        words = sorted(known, key=lambda word: word.zfill(2) if word.isdigit() else word)
        raise InvalidRequest(f"{name}: one or more of {', '.join(words)}.")


def fold_word(word: str) -> str:
    """Return a word of a vocabulary for comparison: case, and zeros before a class number."""
    return word.lstrip("0") if word.isdigit() else word.lower()


@cache
def _statuses(right: Right) -> frozenset[str]:
    return frozenset(load_tables()[right].field("status").values)


NICE_CLASSES = 45
"""Classes of the Nice Classification, 12th edition."""


def _nice_classes(_right: Right) -> frozenset[str]:
    return frozenset(str(number) for number in range(1, NICE_CLASSES + 1))


_CLOSED: dict[str, Callable[[Right], frozenset[str]]] = {
    "status": _statuses,
    "niceClass": _nice_classes,
}

_SCHEMES = {"niceClass": "nice", "ipc": "ipc", "locarnoClass": "locarno"}

_READERS: dict[str, Callable[[str, str], object]] = {
    "applicationDateFrom": _date,
    "applicationDateTo": _date,
    "status": _list,
}
