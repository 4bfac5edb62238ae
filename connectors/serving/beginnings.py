"""From where a new space counts its publications: from beyond every count of one that is gone.

A place in the feed is told in these counts. Where a space is made that was there before (in the
store a backup replaced, or as a view that was removed), its counts from one would be places that
readers of the first one have: they would be taken to stand where they never were, and what they
missed would never be told to them.
"""

import sqlite3
from collections.abc import Sequence

from connectors.serving.schema import COUNTS

WHOLE, VIEWS = "begin:whole", "begin:views"
"""What begins from a count: every right as it is, every view."""

_NO_SPACE = -1
"""No space has this number; in its publications stand the counts."""


def removed_view(office: str, right: str, key: bytes) -> str:
    """Return the name of one view that was there before."""
    return f"removed:{office}:{right}:{key.hex()}"


def count_from(
    connection: sqlite3.Connection, space: int, name: str, counts: Sequence[int], at: int = 0
) -> None:
    """Let a space count on from here, as from a publication called ``name``."""
    connection.execute(
        f"INSERT OR REPLACE INTO publication (delivery_id, space, at, cause, {', '.join(COUNTS)}) "
        f"VALUES (?, ?, ?, 'source', {', '.join('?' * len(COUNTS))})",
        (name, space, at, *counts),
    )


def note_beginning(connection: sqlite3.Connection, name: str, counts: Sequence[int]) -> None:
    """Let what is made anew under a name count on from here."""
    count_from(connection, _NO_SPACE, name, counts)


def begin_whole(connection: sqlite3.Connection, space: int) -> None:
    """Let a right as it is, which is new, begin where it must, before its first publication."""
    if counts := _beginning(connection, WHOLE):
        count_from(connection, space, WHOLE, counts)


def begin_view(connection: sqlite3.Connection, space: int, removed: str) -> None:
    """Move the counts of a view, which is new and full, to where they must begin.

    ``removed`` is the name of the one that was there before, if any was.
    """
    if counts := _beginning(connection, VIEWS, removed):
        moved = ", ".join(f"{name} = {name} + 1 + ?" for name in COUNTS)
        connection.execute(f"UPDATE publication SET {moved} WHERE space = ?", (*counts, space))


def _beginning(connection: sqlite3.Connection, *names: str) -> tuple[int, ...] | None:
    latest = ", ".join(f"max({name})" for name in COUNTS)
    counts: tuple[int | None, ...] = connection.execute(
        f"SELECT {latest} FROM publication WHERE space = {_NO_SPACE} "
        f"AND delivery_id IN ({', '.join('?' * len(names))})",
        names,
    ).fetchone()
    found = tuple(count for count in counts if count is not None)
    return found or None
