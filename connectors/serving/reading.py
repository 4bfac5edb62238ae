"""Point reads and pages of the serving store: allowed fragments, joined.

A column of a class that is not allowed is never named in a statement, so it cannot reach an
answer by any path. Whether a filter may be used at all is the caller's decision.
"""

import sqlite3
from dataclasses import dataclass
from functools import cache

from connectors.serving.folding import fold_number, fold_symbol, fold_text
from connectors.serving.rows import BITS, Filters, Space, key_of
from connectors.serving.schema import FRAGMENT_COLUMNS, FRAGMENT_OF_RECORD

PREFIX_SCHEMES = frozenset({"ipc", "cpc", "locarno"})
"""Hierarchical schemes: ``A61K`` finds ``A61K31/00``, ``14`` finds ``14-03``."""

_BEYOND = "\U0010ffff"
"""Sorts after every continuation of a prefix."""

START = ("", "")
"""Before the first record of a page order; a sort key is never empty."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records as JSON objects, and their identifiers; ``last`` is where the next page starts."""

    bodies: list[bytes]
    last: tuple[str, str] | None
    records: list[str]


def read_record(
    connection: sqlite3.Connection, space: int, record_id: str, mask: int
) -> bytes | None:
    """Return one record as a JSON object, or nothing when it is not there."""
    row = connection.execute(_record_statement(mask), (space, record_id)).fetchone()
    return None if row is None else b"".join(row)


def find_record(
    connection: sqlite3.Connection, space: Space, view: str, record_id: str, mask: int
) -> bytes | None:
    """Return one record of a view, or nothing when record or view is not there.

    One statement where looking up the view's number before would be two.
    """
    values = (space[0], str(space[1]), key_of(view), record_id)
    row = connection.execute(_found_record_statement(mask), values).fetchone()
    return None if row is None else b"".join(row)


def read_page(
    connection: sqlite3.Connection,
    space: int,
    mask: int,
    filters: Filters,
    *,
    after: tuple[str, str],
    limit: int,
) -> Page:
    """Return up to ``limit`` records after a place, ordered by application number."""
    statement, values = page_statement(space, mask, filters, after)
    rows = connection.execute(statement, (*values, limit + 1)).fetchall()
    more = len(rows) > limit
    if more:
        rows.pop()
    bodies = [first + rest for _, _, first, rest in rows]
    return Page(bodies, (rows[-1][0], rows[-1][1]) if more else None, [row[1] for row in rows])


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
def columns_of(mask: int) -> str:
    """Return two columns that make a record of some classes: joined, they are a JSON object.

    Each column of a row costs what three looks at a lock cost, so the classes behind the first
    are joined by SQLite. A cast of bytes alters none of them.
    """
    first, *rest = (FRAGMENT_COLUMNS[name] for name, bit in BITS.items() if bit & mask)
    return f"{first}, CAST({' || '.join([*rest, repr('}')])} AS BLOB)"


@cache
def _record_statement(mask: int) -> str:
    return (
        f"SELECT {columns_of(mask)} FROM record r JOIN fragment f ON {FRAGMENT_OF_RECORD} "
        "WHERE r.space = ? AND r.record_id = ? AND r.alive = 1"
    )


@cache
def _found_record_statement(mask: int) -> str:
    space = "(SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = ?)"
    return _record_statement(mask).replace("r.space = ?", f"r.space = {space}")


def page_statement(
    space: int, mask: int, filters: Filters, after: tuple[str, str]
) -> tuple[str, list[object]]:
    """Return the statement of a page and its values, all but the limit.

    One exact symbol drives the page from ``posting``, which is in page order, and whatever
    else is asked is looked at in the record; without one the page walks ``record`` in page
    order or by a number's own index.
    """
    driver, source, values, conditions = "r", "record r", [], []
    asked = _symbols(filters)
    driving = [name for name, of in asked.items() if len(of) == 1 and name not in PREFIX_SCHEMES]
    for scheme in sorted(asked, key=lambda name: name not in driving):
        symbols = asked[scheme]
        if driver == "r" and driving:
            driver, source = "p", "posting p JOIN record r ON r.id = p.id"
            conditions.append("p.space = ? AND p.scheme = ? AND p.symbol = ?")
            values += [space, scheme, symbols[0]]
        elif driver == "p":
            # Looked at record by record, as the page is walked: a set of all that are filed
            # under a status grows with the register.
            conditions.append(_filed_under(symbols))
            values += [f"\n{scheme} {symbol}{_end(scheme)}" for symbol in symbols]
        else:
            # The plus keeps SQLite walking in page order instead of sorting every match.
            any_of, bounds = _any_symbol(scheme, symbols)
            conditions.append(
                f"+r.id IN (SELECT id FROM posting WHERE space = ? AND scheme = ? AND ({any_of}))"
            )
            values += [space, scheme, *bounds]
    for condition, value in _plain(filters):
        conditions.append(condition)
        values.append(value)
    conditions.append("r.alive = 1")
    if driver == "r":
        conditions.append("r.space = ?")
        values.append(space)
    # A number finds one record or a few: its own index, then sort, not a walk to it.
    walk = "+" if filters.applicationNumber or filters.registrationNumber else ""
    order = f"{walk}{driver}.sort_key, {walk}{driver}.record_id"
    conditions.append(f"({order}) > (?, ?)")
    return (
        f"SELECT r.sort_key, r.record_id, {columns_of(mask)} "
        f"FROM {source} JOIN fragment f ON {FRAGMENT_OF_RECORD} WHERE {' AND '.join(conditions)} "
        f"ORDER BY {order} LIMIT ?",
        [*values, *after],
    )


def _symbols(filters: Filters) -> dict[str, list[str]]:
    asked = {
        scheme: [fold_symbol(scheme, symbol) for symbol in symbols]
        for scheme, symbols in filters.symbols.items()
        if symbols
    }
    if filters.status:
        asked["status"] = [fold_number(status) for status in filters.status]
    return asked


def _any_symbol(scheme: str, symbols: list[str]) -> tuple[str, list[str]]:
    if scheme not in PREFIX_SCHEMES:
        return f"symbol IN ({', '.join('?' * len(symbols))})", symbols
    ranges = " OR ".join(["symbol >= ? AND symbol < ?"] * len(symbols))
    return ranges, [bound for symbol in symbols for bound in (symbol, symbol + _BEYOND)]


def _filed_under(symbols: list[str]) -> str:
    """Return the condition that a record is filed under one of some symbols."""
    any_of = " OR ".join(["instr(char(10) || r.postings || char(10), ?) > 0"] * len(symbols))
    return f"({any_of})"


def _end(scheme: str) -> str:
    return "" if scheme in PREFIX_SCHEMES else "\n"


def _plain(filters: Filters) -> list[tuple[str, object]]:
    asked: list[tuple[str, object]] = []
    if filters.applicationNumber is not None:
        asked.append(("r.application_number = ?", fold_number(filters.applicationNumber)))
    if filters.registrationNumber is not None:
        asked.append(("r.registration_number = ?", fold_number(filters.registrationNumber)))
    if filters.applicationDateFrom is not None:
        asked.append(("r.application_date >= ?", filters.applicationDateFrom.isoformat()))
    if filters.applicationDateTo is not None:
        asked.append(("r.application_date <= ?", filters.applicationDateTo.isoformat()))
    if filters.q is not None:
        asked.append(("instr(r.search_text, ?) > 0", fold_text(filters.q)))
    return asked
