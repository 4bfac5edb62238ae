"""Point reads and pages of the serving store: allowed fragments, joined.

A column of a class that is not allowed is never named in a statement, so it cannot reach an
answer by any path. Whether a filter may be used at all is the caller's decision.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from connectors.serving.folding import fold_number, fold_symbol, fold_text
from connectors.serving.rows import BITS, Filters, Space, key_of
from connectors.serving.schema import FRAGMENT_COLUMNS, FRAGMENT_OF_RECORD

PREFIX_SCHEMES = frozenset({"ipc", "cpc", "locarno"})
"""Hierarchical schemes: ``A61K`` finds ``A61K31/00``, ``2`` finds ``2-03``, not ``20-01``."""

STATUS = "status"
"""The scheme a record's status is filed under."""

MAX_GATHERED = 20_000
"""Records that begin with a symbol, up to which they are gathered (5 ms) before a page is
walked; more are common enough to be met on the way."""

_BEYOND = "\U0010ffff"
"""Sorts after every continuation of a prefix."""

START = ("", "")
"""Before the first record of a page order; a sort key is never empty."""

_END = (_BEYOND, "")
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
    return (
        f"SELECT r.sort_key, r.record_id, {column_of(mask)} "
        f"FROM record r JOIN fragment f ON {FRAGMENT_OF_RECORD} "
        f"WHERE r.alive = 1 AND r.space = {_FOUND_SPACE} "
        f"AND (r.sort_key, r.record_id) {way.beyond} (?, ?) "
        f"ORDER BY r.sort_key{way.order}, r.record_id{way.order} LIMIT ?"
    )


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
        gathered = (
            not by_number and driving is None and _are_few(connection, space, scheme, symbols)
        )
        condition, bounds = (_among if gathered else filed_under)(space, scheme, symbols)
        conditions.append(condition)
        values += bounds
    for condition, value in numbers_of(filters) + plain_of(filters):
        conditions.append(condition)
        values.append(value)
    if driving is not None:
        return _merged(space, mask, (driving, asked[driving]), (conditions, values), after, way)
    walk = "+" if by_number else ""
    key, record = f"{walk}r.sort_key", f"{walk}r.record_id"
    conditions += ["r.alive = 1", "r.space = ?", f"({key}, {record}) {way.beyond} (?, ?)"]
    return (
        f"SELECT r.sort_key, r.record_id, {column_of(mask)} "
        f"FROM record r JOIN fragment f ON {FRAGMENT_OF_RECORD} WHERE {' AND '.join(conditions)} "
        f"ORDER BY {key}{way.order}, {record}{way.order} LIMIT ?",
        [*values, space, *after],
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


def driving_scheme(asked: Mapping[str, list[str]]) -> str | None:
    """Return the scheme whose symbols lead to the records: a class before a status."""
    exact = [scheme for scheme in asked if scheme not in PREFIX_SCHEMES]
    return min(exact, key=lambda scheme: scheme == STATUS, default=None)


def symbols_of(filters: Filters) -> dict[str, list[str]]:
    """Return the symbols asked for, by scheme, as they are filed; a status is one of them."""
    given = {**filters.symbols, STATUS: filters.status}
    folded = {
        scheme: dict.fromkeys(_asked_for(scheme, symbol) for symbol in symbols)
        for scheme, symbols in given.items()
    }
    return {scheme: list(symbols) for scheme, symbols in folded.items() if symbols}


def _asked_for(scheme: str, symbol: str) -> str:
    """Return a symbol as it is looked for: what ends in a line feed is whole.

    Class 2 of Locarno is not the beginning of 20-01, nor is 6-1 that of 6-10.
    """
    folded = fold_symbol(scheme, symbol)
    if scheme != "locarno" or folded.endswith("-"):
        return folded
    return f"{folded}\n" if "-" in folded else f"{folded}-"


def _are_few(connection: sqlite3.Connection, space: int, scheme: str, symbols: list[str]) -> bool:
    """Tell whether what begins with some symbols is no more than ``MAX_GATHERED``."""
    filed, values = _filed(space, scheme, symbols)
    (count,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 {filed} LIMIT ?)", (*values, MAX_GATHERED + 1)
    ).fetchone()
    return int(count) <= MAX_GATHERED


def _among(space: int, scheme: str, symbols: list[str]) -> tuple[str, list[object]]:
    """Return the condition that a record is in the set of those that begin with some symbols."""
    filed, values = _filed(space, scheme, symbols)
    # The plus keeps SQLite walking in page order instead of sorting every match.
    return f"+r.id IN (SELECT id {filed})", values


def _filed(space: int, scheme: str, symbols: list[str]) -> tuple[str, list[object]]:
    ranges = " OR ".join(["symbol >= ? AND symbol < ?"] * len(symbols))
    ends = ["" if symbol.endswith("\n") else _BEYOND for symbol in symbols]
    bounds = [
        bound
        for symbol, end in zip(symbols, ends, strict=True)
        for bound in (symbol.rstrip(), symbol + end)
    ]
    return f"FROM posting WHERE space = ? AND scheme = ? AND ({ranges})", [space, scheme, *bounds]


def filed_under(_space: int, scheme: str, symbols: list[str]) -> tuple[str, list[object]]:
    """Return the condition, looked at record by record, to be filed under one of some symbols."""
    any_of = " OR ".join(["instr(char(10) || r.postings || char(10), ?) > 0"] * len(symbols))
    end = "" if scheme in PREFIX_SCHEMES else "\n"
    return f"({any_of})", [f"\n{scheme} {symbol}{end}" for symbol in symbols]


def numbers_of(filters: Filters) -> list[tuple[str, object]]:
    """Return the conditions that lead to few records directly, each with its value."""
    asked: list[tuple[str, object]] = []
    if filters.applicationNumber is not None:
        asked.append(("r.application_number = ?", fold_number(filters.applicationNumber)))
    if filters.registrationNumber is not None:
        asked.append(("r.registration_number = ?", fold_number(filters.registrationNumber)))
    return asked


def plain_of(filters: Filters) -> list[tuple[str, object]]:
    """Return the conditions that lead nowhere: each record on the way is looked at."""
    asked: list[tuple[str, object]] = []
    if filters.applicationDateFrom is not None:
        asked.append(("r.application_date >= ?", filters.applicationDateFrom.isoformat()))
    if filters.applicationDateTo is not None:
        asked.append(("r.application_date <= ?", filters.applicationDateTo.isoformat()))
    if filters.q is not None:
        asked.append(("instr(r.search_text, ?) > 0", fold_text(filters.q)))
    return asked
