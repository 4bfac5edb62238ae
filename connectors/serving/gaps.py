"""Keeps cursors honest where a store's history is not the one they were given out by.

A place in the feed is told in counts of publications. A store that was restored counts on from
an older state, one that was rebuilt may count differently; the same count could then mean
another state, and a reader would miss changes without a word. Counts are therefore moved to
numbers nobody was ever given: such a reader is told to start again. They are milliseconds since
1970: no store publishes one a millisecond, so counts never overtake the next such number, as they
would overtake seconds when a store is made anew twice in an hour.
"""

import sqlite3
from datetime import datetime

from connectors.serving.beginnings import VIEWS, WHOLE, count_from, note_beginning
from connectors.serving.marks import NOWHERE
from connectors.serving.schema import COUNTS
from connectors.serving.writing import microseconds

_NAMES = ", ".join(COUNTS)


def _beyond(at: datetime) -> int:
    """Return a number greater than any count given out before ``at``."""
    return microseconds(at) // 1_000


def leave_gap(connection: sqlite3.Connection, at: datetime) -> None:
    """Count on from a number beyond every count so far; places up to here stay good.

    Args:
        connection: to the store, writing.
        at: the instant, which gives the number.
    """
    connection.execute("BEGIN IMMEDIATE")
    for (space,) in connection.execute("SELECT id FROM space").fetchall():
        latest = connection.execute(
            f"SELECT {_NAMES} FROM publication WHERE space = ? ORDER BY id DESC LIMIT 1", (space,)
        ).fetchone()
        beyond = [max(_beyond(at), count + 1) for count in latest or NOWHERE]
        name = f"gap:{space}:{at.isoformat()}"
        count_from(connection, space, name, beyond, microseconds(at))
    _begin(connection, at, WHOLE, VIEWS)
    connection.execute("COMMIT")


def forget_places(connection: sqlite3.Connection, at: datetime, *, whole: bool) -> None:
    """Let no place given out before ``at`` be known any more, of views or of the whole, too.

    A view that was made anew has one publication where it had many.
    """
    moved = ", ".join(f"{name} = {name} + ?" for name in COUNTS)
    which = "" if whole else "WHERE space IN (SELECT id FROM space WHERE view != '')"
    connection.execute(f"UPDATE publication SET {moved} {which}", [_beyond(at)] * len(COUNTS))
    _begin(connection, at, VIEWS, *([WHOLE] if whole else []))


def _begin(connection: sqlite3.Connection, at: datetime, *names: str) -> None:
    """Let spaces that are not there yet count from beyond, too: readers may know them."""
    for name in names:
        note_beginning(connection, name, [_beyond(at)] * len(COUNTS))


def places(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return every place of the feeds without views: which delivery, and the counts behind it.

    Among them from where one begins that is not there yet.
    """
    return connection.execute(
        f"SELECT s.office, s.ip_right, p.delivery_id, {', '.join(f'p.{n}' for n in COUNTS)} "
        "FROM publication p LEFT JOIN space s ON s.id = p.space "
        "WHERE s.view = '' OR p.delivery_id = ? ORDER BY s.office, s.ip_right, p.id",
        (WHOLE,),
    ).fetchall()
