"""What a reader asks for, as conditions of SQL on ``record`` and on where it is filed.

Symbols and numbers are looked for as they were filed; whether a filter may be used at all is the
caller's decision. Which statement a condition becomes part of is ``reading``.
"""

import sqlite3
from collections.abc import Mapping

from connectors.serving.folding import fold_number, fold_symbol, fold_text
from connectors.serving.rows import Filters

PREFIX_SCHEMES = frozenset({"ipc", "cpc", "locarno"})
"""Hierarchical schemes: ``A61K`` finds ``A61K31/00``, ``2`` finds ``2-03``, not ``20-01``."""

STATUS = "status"
"""The scheme a record's status is filed under."""

MAX_GATHERED = 20_000
"""Records that begin with a symbol, up to which they are gathered (5 ms) before a page is
walked; more are common enough to be met on the way."""

BEYOND = "\U0010ffff"
"""Sorts after every continuation of a prefix; a whole symbol, a line feed at its end, has none."""


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


def are_few(connection: sqlite3.Connection, space: int, scheme: str, symbols: list[str]) -> bool:
    """Tell whether what begins with some symbols is no more than ``MAX_GATHERED``."""
    filed, values = _filed(space, scheme, symbols)
    (count,) = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 {filed} LIMIT ?)", (*values, MAX_GATHERED + 1)
    ).fetchone()
    return int(count) <= MAX_GATHERED


def among(space: int, scheme: str, symbols: list[str]) -> tuple[str, list[object]]:
    """Return the condition that a record is in the set of those that begin with some symbols."""
    filed, values = _filed(space, scheme, symbols)
    # The plus keeps SQLite walking in page order instead of sorting every match.
    return f"+r.id IN (SELECT id {filed})", values


def _filed(space: int, scheme: str, symbols: list[str]) -> tuple[str, list[object]]:
    ranges = " OR ".join(["symbol >= ? AND symbol < ?"] * len(symbols))
    bounds = [bound for symbol in symbols for bound in (symbol.rstrip(), symbol + BEYOND)]
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
