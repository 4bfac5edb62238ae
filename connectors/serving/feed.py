"""The change feed: what a reader must do to hold exactly what it may hold.

Every record stands once in a reader's feed, at the last publication that touched a class the
reader may see, with its present content. Offices and rights come one after the other; within
one, items are in order of publication. How grants and places become marks is ``marks``.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import msgspec

from connectors.serving.marks import NOWHERE, Counts, Mark, Mode, adjust, restrict
from connectors.serving.reading import columns_of
from connectors.serving.rows import BITS, Space, mask_of
from connectors.serving.schema import COUNTS, PLACES
from ipregister.authorizations import NOTHING, Grant


class Named(NamedTuple):
    """What one item of the feed is about; ``is_given`` when it carries the record itself."""

    space: Space
    record: str
    is_given: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """One page of the feed: items as JSON objects, the reader's new place, is there more.

    ``named`` says what each item is about, for whoever keeps account of it.
    """

    items: list[bytes]
    named: list[Named]
    marks: list[Mark]
    more: bool


class PlaceUnknown(LookupError):
    """The mark does not fit this store (it was rebuilt): the reader must start again."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A mark in the terms of this store; 0 and empty are before everything."""

    publication: int = 0
    record: str = ""
    half: bool = False
    retracted: str = ""


class _Item(NamedTuple):
    """One item, what it is about, and the place behind it."""

    body: bytes
    record: str
    is_given: bool
    place: _Place


@dataclass(frozen=True, slots=True)
class _Walk:
    """One space to read: its number, the adjusted mark, and the mark's places here."""

    space: int
    mark: Mark
    start: _Place
    horizon: int


def read_changes(
    connection: sqlite3.Connection,
    grants: Mapping[Space, Grant],
    marks: Sequence[Mark] | None,
    limit: int,
) -> Changes:
    """Return up to ``limit`` items after a reader's place; no marks is the very beginning.

    Raises:
        PlaceUnknown: a mark does not fit this store.
    """
    known = {(mark.office, mark.right): mark for mark in marks or ()}
    changes = Changes([], [], [], False)
    for space in sorted(known.keys() | grants.keys()):
        mask = mask_of(grants.get(space, NOTHING).allowed)
        walk = _walk(connection, space, known.get(space), mask, first=marks is None)
        left = limit - len(changes.items)
        place, exhausted = walk.start, True
        for item in _items(connection, walk, left + 1):
            if not left:
                changes, exhausted = replace(changes, more=True), False
                break
            changes.items.append(item.body)
            changes.named.append(Named(space, item.record, item.is_given))
            place, left = item.place, left - 1
        changes.marks.extend(_marked(connection, walk, place, exhausted=exhausted))
    return changes


def _walk(
    connection: sqlite3.Connection, space: Space, mark: Mark | None, mask: int, *, first: bool
) -> _Walk:
    found = connection.execute(
        "SELECT id FROM space WHERE office = ? AND ip_right = ?", (space[0], str(space[1]))
    ).fetchone()
    number = int(found[0]) if found else 0
    latest = connection.execute(
        f"SELECT {', '.join(COUNTS)} FROM publication WHERE space = ? "
        "ORDER BY n_core DESC, id DESC LIMIT 1",
        (number,),
    ).fetchone()
    mark = adjust(mark, space, mask, restrict(latest or NOWHERE, mask), first=first)
    start = _Place(
        _publication(connection, number, mark.counts, mark.mask),
        mark.record,
        mark.half,
        mark.retracted,
    )
    return _Walk(number, mark, start, _publication(connection, number, mark.horizon, mark.mask))


def _publication(connection: sqlite3.Connection, space: int, counts: Counts, mask: int) -> int:
    """Return the publication that brought the counts of these classes to where they are."""
    if counts == NOWHERE:
        return 0
    names = [name for name, bit in zip(COUNTS, BITS.values(), strict=True) if bit & mask]
    values = [count for count, bit in zip(counts, BITS.values(), strict=True) if bit & mask]
    (found,) = connection.execute(
        f"SELECT min(id) FROM publication WHERE space = ? AND {' AND '.join(f'{n} = ?' for n in names)}",  # noqa: E501
        (space, *values),
    ).fetchone()
    if found is None:
        raise PlaceUnknown
    return int(found)


def _items(connection: sqlite3.Connection, walk: _Walk, limit: int) -> Iterator[_Item]:
    """Yield items from the walk's start."""
    where = _json({"officeCode": walk.mark.office, "right": walk.mark.right})[1:-1]
    if walk.mark.mode is Mode.RETRACT:
        yield from _retractions(connection, walk, limit, where)
        return
    mask, start, mode = walk.mark.mask, walk.start, walk.mark.mode
    # Deletions of records a new reader never had are not news to it.
    silent = walk.horizon if mode in (Mode.READ, Mode.GRANT) else 0
    rows = connection.execute(
        _feed_statement(mask, inclusive=start.half),
        (walk.space, start.publication, start.record, mask, silent, limit + 1),
    )
    for publication, record, cause, alive, *parts in rows:
        if publication <= walk.horizon and mode is not Mode.READ:
            cause = "authorization" if alive else cause
            if mode is Mode.NARROW and alive:
                half = _Place(publication, record, half=True)
                if half != _Place(start.publication, start.record, start.half):
                    yield _item("retract", cause, where, record, half)
        body = b',"record":' + b"".join(parts) + b"}" if alive else b""
        kind = "upsert" if alive else "delete"
        yield _item(kind, cause, where, record, _Place(publication, record), body)


def _retractions(
    connection: sqlite3.Connection, walk: _Walk, limit: int, where: bytes
) -> Iterator[_Item]:
    """Yield a retraction of every record the reader may have, deleted since or not."""
    start = walk.start
    rows = connection.execute(
        "SELECT record_id FROM record WHERE space = ? AND record_id > ? "
        "AND (born, record_id) <= (?, ?) ORDER BY record_id LIMIT ?",
        (walk.space, start.retracted, start.publication, start.record, limit),
    )
    for (record,) in rows:
        place = _Place(start.publication, start.record, retracted=record)
        yield _item("retract", "authorization", where, record, place)


def _marked(
    connection: sqlite3.Connection, walk: _Walk, place: _Place, *, exhausted: bool
) -> list[Mark]:
    """Return the mark of a place; none when everything was retracted."""
    mark = walk.mark
    if mark.mode is Mode.RETRACT:
        changed = msgspec.structs.replace(mark, retracted=place.retracted)
        return [] if exhausted else [changed]
    counts = mark.counts
    if place.publication != walk.start.publication:
        found = connection.execute(
            f"SELECT {', '.join(COUNTS)} FROM publication WHERE id = ?",
            (place.publication,),
        ).fetchone()
        counts = restrict(found, mark.mask)
    beyond = place.publication > walk.horizon
    return [
        Mark(
            mark.office,
            mark.right,
            mark.mask,
            Mode.READ if exhausted or beyond else mark.mode,
            counts,
            place.record,
            NOWHERE if beyond else mark.horizon,
            place.half,
        )
    ]


def _item(
    kind: str, cause: str, where: bytes, record: str, place: _Place, body: bytes = b""
) -> _Item:
    document = b'{"changeType":"%b","cause":"%b",%b,"recordId":%b%b}' % (
        kind.encode(),
        cause.encode(),
        where,
        _json(record),
        body,
    )
    return _Item(document, record, bool(body), place)


_json = msgspec.json.Encoder().encode


@cache
def _feed_statement(mask: int, *, inclusive: bool) -> str:
    """Return the statement that reads a feed in order, for readers of some classes.

    The joins are CROSS so that SQLite walks ``change`` in order and looks the others up.
    """
    places = [name for name, bit in zip(PLACES, BITS.values(), strict=True) if bit & mask]
    last = f"max({', '.join('r.' + place for place in places)})" if places[1:] else f"r.{places[0]}"
    return (
        f"SELECT c.publication, c.record_id, p.cause, r.alive, {columns_of(mask)} "
        "FROM change c CROSS JOIN record r ON r.id = c.id "
        "CROSS JOIN publication p ON p.id = c.publication LEFT JOIN fragment f ON f.id = c.id "
        f"WHERE c.space = ? AND (c.publication, c.record_id) {'>=' if inclusive else '>'} (?, ?) "
        f"AND (c.touched & ?) != 0 AND c.publication = {last} "
        "AND (r.alive = 1 OR c.publication > ?) "
        "ORDER BY c.publication, c.record_id LIMIT ?"
    )
