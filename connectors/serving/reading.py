"""Point reads and pages of the serving store: allowed fragments, joined.

A column of a class that is not allowed is never named in a statement, so it cannot reach an
answer by any path. Whether a filter may be used at all is the caller's decision.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from connectors.serving.conditions import (
    BEYOND,
    STATUS,
    among,
    are_few,
    driving_scheme,
    filed_under,
    numbers_of,
    plain_of,
    symbols_of,
)
from connectors.serving.rows import BITS, Filters, Space, key_of
from connectors.serving.schema import FRAGMENT_COLUMNS, FRAGMENT_OF_RECORD

START = ("", "")
"""Before the first record of a page order; a sort key is never empty."""

_END = (BEYOND, "")
"""Behind the last record: where the order begins that goes down."""


class _Way(NamedTuple):
    """A direction of the page order, as SQL has it."""

    beyond: str
    order: str


_UP, _DOWN = _Way(">", ""), _Way("<", " DESC")


@dataclass(frozen=True, slots=True)
class Page:
    """Records as JSON objects, and their identifiers; ``last`` is where the next page starts.

    ``count`` is how many records there are on all pages, where somebody wanted to know.
    """

    bodies: list[bytes]
    last: tuple[str, str] | None
    records: list[str]
    count: int | None = None


def read_record(
    connection: sqlite3.Connection, space: int, record_id: str, mask: int
) -> bytes | None:
    """Return one record as a JSON object, or nothing when it is not there."""
    row = connection.execute(_record_statement(mask), (space, record_id)).fetchone()
    return None if row is None else row[0]


def find_record(
    connection: sqlite3.Connection, space: Space, view: str, record_id: str, mask: int
) -> bytes | None:
    """Return one record of a view, or nothing when record or view is not there.

    One statement where looking up the view's number before would be two.
    """
    values = (space[0], str(space[1]), key_of(view), record_id)
    row = connection.execute(_found_record_statement(mask), values).fetchone()
    return None if row is None else row[0]


def read_page(
    connection: sqlite3.Connection,
    space: int,
    mask: int,
    filters: Filters,
    *,
    after: tuple[str, str],
    limit: int,
    descending: bool = False,
) -> Page:
    """Return up to ``limit`` records after a place, ordered by application number."""
    statement, values = page_statement(
        connection, space, mask, filters, after, descending=descending
    )
    return _page_of(connection.execute(statement, (*values, limit + 1)).fetchall(), limit)


def find_page(
    connection: sqlite3.Connection,
    space: Space,
    view: str,
    mask: int,
    *,
    after: tuple[str, str],
    limit: int,
    descending: bool = False,
) -> Page:
    """Return the same of all records of a view; an empty page also when the view is not there.

    One statement, for the reason of ``find_record``.
    """
    way = _DOWN if descending else _UP
    after = _END if descending and after == START else after
    values = (space[0], str(space[1]), key_of(view), *after, limit + 1)
    return _page_of(connection.execute(_found_page_statement(mask, way), values).fetchall(), limit)


def _page_of(rows: list[tuple[str, str, bytes]], limit: int) -> Page:
    """Return what was found as a page; one more than ``limit`` says that there is another one."""
    more = len(rows) > limit
    if more:
        rows.pop()
    last = rows[-1][:2] if more else None
    return Page([row[2] for row in rows], last, [row[1] for row in rows])


def is_gone(connection: sqlite3.Connection, space: int, record_id: str, since: int) -> bool:
    """Tell whether the record was there at ``since`` or later and was taken away.

    What was taken away before a reader might see it never existed for that reader.
    """
    return (
        connection.execute(
            "SELECT 1 FROM record r JOIN publication p ON p.id = r.p_core "
            "WHERE r.space = ? AND r.record_id = ? AND r.alive = 0 AND p.at >= ?",
            (space, record_id, since),
        ).fetchone()
        is not None
    )


def newest(connection: sqlite3.Connection, space: int) -> int:
    """Return the latest instant of a publication in a space, in microseconds since 1970."""
    query = "SELECT coalesce(max(at), 0) FROM publication WHERE space = ?"
    (at,) = connection.execute(query, (space,)).fetchone()
    return int(at)


def count(connection: sqlite3.Connection, space: int) -> int:
    """Return how many records are in a space."""
    found = connection.execute("SELECT records FROM space WHERE id = ?", (space,)).fetchone()
    return int(found[0]) if found else 0


@cache
def joined_of(mask: int, *, end: str = "'}'") -> str:
    """Return the expression that joins some classes of a row to a JSON object; ``end`` closes it.

    Each column of a row costs what three looks at a lock cost, so SQLite joins the classes. It
    copies what it has at each of them, so it begins with the small ones at the end.
    """
    joined = end
    for name, bit in reversed(BITS.items()):
        if bit & mask:
            joined = f"{FRAGMENT_COLUMNS[name]} || ({joined})"
    return joined


@cache
def column_of(mask: int, *, end: str = "'}'") -> str:
    """Return the same as a column of bytes; the cast alters none of them."""
    return f"CAST({joined_of(mask, end=end)} AS BLOB)"


@cache
def _record_statement(mask: int) -> str:
    return (
        f"SELECT {column_of(mask)} FROM record r JOIN fragment f ON {FRAGMENT_OF_RECORD} "
        "WHERE r.space = ? AND r.record_id = ? AND r.alive = 1"
    )


@cache
def _found_record_statement(mask: int) -> str:
    return _record_statement(mask).replace("r.space = ?", f"r.space = {_FOUND_SPACE}")


@cache
def _found_page_statement(mask: int, way: _Way) -> str:
    return _plain_page(mask, way, space=_FOUND_SPACE)


_FOUND_SPACE = "(SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = ?)"


def page_statement(
    connection: sqlite3.Connection,
    space: int,
    mask: int,
    filters: Filters,
    after: tuple[str, str],
    *,
    descending: bool = False,
) -> tuple[str, list[object]]:
    """Return the statement of a page and its values, all but the limit.

    A page walks something in page order and looks at every record on its way, so that it costs
    the same however many records fit: the places of the symbols of one scheme, merged, or else
    ``record``. Only a number leads to its few records directly, which are then sorted.
    ``descending`` walks the same the other way round, records of one number as well.
    """
    way = _DOWN if descending else _UP
    after = _END if descending and after == START else after
    asked, by_number = symbols_of(filters), bool(numbers_of(filters))
    driving = None if by_number else driving_scheme(asked)
    conditions, values = list[str](), list[object]()
    for scheme, symbols in asked.items():
        if scheme == driving:
            continue
        gathered = not by_number and driving is None and are_few(connection, space, scheme, symbols)
        condition, bounds = (among if gathered else filed_under)(space, scheme, symbols)
        conditions.append(condition)
        values += bounds
    for condition, value in numbers_of(filters) + plain_of(filters):
        conditions.append(condition)
        values.append(value)
    if driving is not None:
        return _merged(space, mask, (driving, asked[driving]), (conditions, values), after, way)
    page = _plain_page(mask, way, conditions, is_sorted=by_number)
    return page, [*values, space, *after]


def _plain_page(
    mask: int,
    way: _Way,
    conditions: Iterable[str] = (),
    *,
    space: str = "?",
    is_sorted: bool = False,
) -> str:
    """Return the statement that walks ``record`` in page order, or sorts the few it finds.

    Its values are those of the conditions, the space, the place and the limit.
    """
    walk = "+" if is_sorted else ""
    key, record = f"{walk}r.sort_key", f"{walk}r.record_id"
    place = f"({key}, {record}) {way.beyond} (?, ?)"
    where = " AND ".join([*conditions, "r.alive = 1", f"r.space = {space}", place])
    return (
        f"SELECT r.sort_key, r.record_id, {column_of(mask)} "
        f"FROM record r JOIN fragment f ON {FRAGMENT_OF_RECORD} WHERE {where} "
        f"ORDER BY {key}{way.order}, {record}{way.order} LIMIT ?"
    )


def _merged(
    space: int,
    mask: int,
    driving: tuple[str, list[str]],
    asked: tuple[list[str], list[object]],
    after: tuple[str, str],
    way: _Way,
) -> tuple[str, list[object]]:
    """Return the statement that walks the places of each symbol in page order, side by side.

    Only living records are filed under anything. A record under several of the symbols comes
    with the first of them; of statuses it has one.
    """
    scheme, symbols = driving
    arms, values = list[str](), list[object]()
    for place, symbol in enumerate(symbols):
        conditions, bounds = list(asked[0]), list(asked[1])
        if place and scheme != STATUS:
            before, named = filed_under(space, scheme, symbols[:place])
            conditions.append(f"NOT {before}")
            bounds += named
        record = "CROSS JOIN record r ON r.id = p.id " if conditions else ""
        arms.append(
            f"SELECT p.sort_key, p.record_id, {column_of(mask)} FROM posting p {record}"
            f"CROSS JOIN fragment f ON {FRAGMENT_OF_RECORD.replace('r.', 'p.')} "
            "WHERE p.space = ? AND p.scheme = ? AND p.symbol = ? "
            f"AND (p.sort_key, p.record_id) {way.beyond} (?, ?)"
            f"{''.join(f' AND {condition}' for condition in conditions)}"
        )
        values += [space, scheme, symbol, *after, *bounds]
    return f"{' UNION ALL '.join(arms)} ORDER BY 1{way.order}, 2{way.order} LIMIT ?", values
