"""How many records a reader would find, after the same filters and in the same space.

Nothing is counted that a page would not have: a count walks the rows of the reader's own view.
Counting them all costs what looking at them costs; an estimate costs the same in every register.
"""

import sqlite3
from enum import StrEnum

from connectors.serving.conditions import (
    STATUS,
    driving_scheme,
    filed_under,
    numbers_of,
    plain_of,
    symbols_of,
)
from connectors.serving.patience import SEARCH_SECONDS, bounded
from connectors.serving.reading import count
from connectors.serving.rows import Filters

SAMPLE = 10_000
"""Records an estimate looks at: three standard deviations of a share of a tenth are then a
hundredth, after about 10 ms. A space with fewer is counted."""

_REMEDY = "Narrow the filters, or ask for count=estimate or count=none."


class Count(StrEnum):
    """What a reader wants to be told of the number of records."""

    EXACT = "exact"
    ESTIMATE = "estimate"
    NONE = "none"


def count_records(
    connection: sqlite3.Connection,
    space: int,
    filters: Filters,
    wanted: Count,
    *,
    seconds: float = SEARCH_SECONDS,
) -> int | None:
    """Return how many records of a space fit, as exactly as wanted; nothing for ``NONE``.

    Raises:
        SearchTooSlow: it took longer than ``seconds``.
    """
    if wanted is Count.NONE:
        return None
    if filters == Filters():
        return count(connection, space)
    with bounded(connection, seconds, "Counting", _REMEDY):
        # A number leads to its few records directly.
        if wanted is Count.ESTIMATE and not numbers_of(filters):
            return _estimate(connection, space, filters)
        return _count(connection, space, filters)


def _count(connection: sqlite3.Connection, space: int, filters: Filters) -> int:
    symbols = symbols_of(filters)
    driving = None if numbers_of(filters) else driving_scheme(symbols)
    conditions, values = _conditions(space, filters, but=driving)
    if driving is None:
        where = " AND ".join(["r.space = ?", "r.alive = 1", *conditions])
        statement, values = f"SELECT count(*) FROM record r WHERE {where}", [space, *values]
    else:
        asked = symbols[driving]
        # A record has one status, but is filed under each of its classes.
        once = "DISTINCT " if len(asked) > 1 and driving != STATUS else ""
        record = "CROSS JOIN record r ON r.id = p.id " if conditions else ""
        any_of = f"p.symbol IN ({', '.join('?' * len(asked))})"
        where = " AND ".join(["p.space = ?", "p.scheme = ?", any_of, *conditions])
        statement = f"SELECT count({once}p.id) FROM posting p {record}WHERE {where}"
        values = [space, driving, *asked, *values]
    (number,) = connection.execute(statement, values).fetchone()
    return int(number)


def _estimate(connection: sqlite3.Connection, space: int, filters: Filters) -> int:
    """Return the share of the records that come first by identifier, of all there are.

    An identifier is a hash, so which come first has nothing to do with what is in them. It is
    the same estimate until the records change.
    """
    conditions, values = _conditions(space, filters)
    looked_at, fit = connection.execute(
        f"SELECT count(*), coalesce(sum(fits), 0) FROM (SELECT {' AND '.join(conditions)} AS fits "
        "FROM record r INDEXED BY uq_record_id WHERE r.space = ? AND r.alive = 1 "
        "ORDER BY r.record_id LIMIT ?)",
        [*values, space, SAMPLE],
    ).fetchone()
    return round(count(connection, space) * fit / looked_at) if looked_at else 0


def _conditions(
    space: int, filters: Filters, *, but: str | None = None
) -> tuple[list[str], list[object]]:
    """Return what a record is looked at for, all but the symbols of one scheme."""
    conditions, values = list[str](), list[object]()
    for scheme, symbols in symbols_of(filters).items():
        if scheme != but:
            condition, bounds = filed_under(space, scheme, symbols)
            conditions.append(condition)
            values += bounds
    for condition, value in numbers_of(filters) + plain_of(filters):
        conditions.append(condition)
        values.append(value)
    return conditions, values
