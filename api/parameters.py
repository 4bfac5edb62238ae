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

from connectors.serving_store import Filters
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right, load_tables

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000

MAX_VALUES = 20
"""Values of one parameter; each is one more condition on every record."""

MAX_VALUE_CHARACTERS = 200

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
        dict.fromkeys(_ALL, "registrationNumber"), "Registration number", _TEXT
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


def read_filters(values: Mapping[str, str]) -> Filters:
    """Return the filters among ``values``.

    Raises:
        InvalidRequest: a value is empty, too long or not of its kind.
    """
    given: dict[str, object] = {}
    symbols: dict[str, tuple[str, ...]] = {}
    for name, text in values.items():
        if name not in FILTERS:
            continue
        if not text.strip() or len(text) > MAX_VALUE_CHARACTERS:
            raise InvalidRequest(f"{name}: 1 to {MAX_VALUE_CHARACTERS} characters.")
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


_SCHEMES = {"niceClass": "nice", "ipc": "ipc", "locarnoClass": "locarno"}

_READERS: dict[str, Callable[[str, str], object]] = {
    "applicationDateFrom": _date,
    "applicationDateTo": _date,
    "status": _list,
}
