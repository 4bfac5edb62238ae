"""What a space has of records that are about to come into it, and where they differ from it.

One statement for a whole batch. Nothing is written here; what becomes of it is ``filing``.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import ne
from typing import Any

from connectors.serving.rows import BITS
from connectors.serving.schema import PLACES
from ipregister.model import Disclosure

_BIT_VALUES = tuple(BITS.values())
_INDEXED = ("sort_key", "application_number", "registration_number")
_KNOWN = ", ".join(
    f"r.{name}" for name in ("record_id", "id", "born", "alive", "postings", *_INDEXED, *PLACES)
)
# In the order of the table: most of a large register's pages are read once and not cached.
_ASKED = (
    "WITH asked AS MATERIALIZED ("
    "SELECT id FROM record WHERE space = ? AND record_id IN ({names}) ORDER BY id) "
)
_FIND = f"{_ASKED}SELECT {_KNOWN} FROM asked CROSS JOIN record r ON r.id = asked.id"
_FIND_WITH_FRAGMENTS = (
    f"{_ASKED}SELECT {_KNOWN}, {', '.join('f.' + name for name in Disclosure)} "
    "FROM asked CROSS JOIN record r ON r.id = asked.id LEFT JOIN fragment f ON f.id = r.id"
)
_PLACES = slice(8, 8 + len(PLACES))
_FRAGMENTS = slice(_PLACES.stop, None)


@dataclass(slots=True)
class Stored:
    """What a space has of a record; ``places`` as in ``schema.PLACES``.

    ``changed`` are the bits of the classes in which it differs from what comes, 0 where nothing
    was compared.
    """

    number: int
    born: int
    alive: bool = False
    postings: str = ""
    sort_key: str = ""
    numbers: tuple[str | None, str | None] = (None, None)
    places: list[int] = field(default_factory=lambda: [0] * len(BITS))
    changed: int = 0


def has_any(connection: sqlite3.Connection, space: int) -> bool:
    """Tell whether a space has a record, alive or not."""
    some = connection.execute("SELECT 1 FROM record WHERE space = ? LIMIT 1", (space,))
    return some.fetchone() is not None


def find(connection: sqlite3.Connection, space: int, records: Sequence[str]) -> dict[str, Stored]:
    """Return what a space has of these records, by identifier; of some it has nothing."""
    return {row[0]: _stored(row) for row in _rows(connection, _FIND, space, records)}


def compare(
    connection: sqlite3.Connection,
    space: int,
    records: Sequence[str],
    fragments: Iterable[tuple[bytes, ...]],
) -> dict[str, Stored]:
    """Return the same of a space with fragments of its own, compared with those that come."""
    coming, found = dict(zip(records, fragments, strict=True)), dict[str, Stored]()
    for row in _rows(connection, _FIND_WITH_FRAGMENTS, space, records):
        found[row[0]] = stored = _stored(row)
        if stored.alive:
            stored.changed = bits(map(ne, row[_FRAGMENTS], coming[row[0]]))
    return found


def bits(flags: Iterable[object]) -> int:
    """Return the bits of the classes whose flag, in their order, says yes."""
    return sum([bit for bit, flag in zip(_BIT_VALUES, flags, strict=True) if flag])


def _rows(
    connection: sqlite3.Connection, query: str, space: int, records: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    return connection.execute(query.format(names=", ".join("?" * len(records))), (space, *records))


def _stored(row: tuple[Any, ...]) -> Stored:
    return Stored(row[1], row[2], bool(row[3]), row[4], row[5], row[6:8], list(row[_PLACES]))
