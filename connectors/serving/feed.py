"""The change feed: what a reader must do to hold exactly what it may hold.

Every record stands once in a reader's feed, at the last publication that touched a class the
reader may see, with its present content. Offices and rights come one after the other; within
one, items are in order of publication. How grants and places become marks is ``marks``; where
a mark is in a store, ``walks``.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from connectors.serving.feed_page import Changes, Told, lead, quoted
from connectors.serving.marks import Mark, Mode, Target, adjust, arrive
from connectors.serving.reading import column_of, joined_of
from connectors.serving.rows import FREE_TEXT, Space
from connectors.serving.schema import FRAGMENT_OF_RECORD
from connectors.serving.walks import Spot, Walk, mark_of, target_of, walk_of
from ipregister.authorizations import Grant
from ipregister.errors import StoreError

MAX_WALKED = 10_000
"""Records of a page that are looked at for whether their reader may keep them: about 30 ms."""

_Reached = tuple[object, ...]
"""Values of a statement that reads a feed, from the space to the limit or up to it."""

_Row = tuple[int, str, bytes]
"""Kind, identifier, and where it lives the record with what ends its item. The kind is twice the
publication, one more where the record lives; below zero it takes back what is sent again."""


def read_changes(
    connection: sqlite3.Connection,
    grants: Mapping[Space, Grant],
    marks: Sequence[Mark] | None,
    limit: int,
    between: bytes = b",",
) -> Changes:
    """Return up to ``limit`` items after a reader's place; no marks is the very beginning.

    ``between`` is what will stand between two items.

    Raises:
        PlaceUnknown: a mark does not fit this store.
        StoreError: a view of a grant is not prepared, or the content of a record is not there.
    """
    known = {(mark.office, mark.right): mark for mark in marks or ()}
    changes = Changes(between)
    for space in sorted(known.keys() | grants.keys()):
        target = target_of(connection, space, grants.get(space))
        mark = _adjusted(connection, space, known.get(space), target, first=marks is None)
        while mark is not None:
            walk = walk_of(connection, mark)
            read = _retract if mark.mode is Mode.RETRACT else _read
            place, exhausted = read(connection, walk, changes, limit)
            if mark.mode is Mode.RETRACT and exhausted:
                mark = arrive(mark)
                continue
            changes.marks.append(mark_of(connection, walk, place, exhausted=exhausted))
            break
    return changes


def _adjusted(
    connection: sqlite3.Connection,
    space: Space,
    known: Mark | None,
    target: Target | None,
    *,
    first: bool,
) -> Mark | None:
    mark = adjust(known, space, target, first=first)
    if known is not None and mark != known:
        walk_of(connection, known)  # a place of another store must not pass for one of this
    return mark


def _read(
    connection: sqlite3.Connection, walk: Walk, changes: Changes, limit: int
) -> tuple[Spot, bool]:
    """Add items from the walk's start; return the place behind them, and was it all."""
    mask, start, room = walk.mark.mask & ~FREE_TEXT, walk.start, limit - changes.count
    reached = (walk.space, start.publication, start.record, mask, mask, walk.origin)
    found, first, last = connection.execute(
        _statement(_kinds, mask, inclusive=start.half), (*reached, room + 1)
    ).fetchone()
    if not found or not room:
        changes.more |= bool(found)
        return start, not found
    twice = walk.mark.mode is Mode.NARROW and first >> 1 <= walk.horizon
    if first == last and first & 1 and not twice:
        changes.more |= found > room
        place = _read_alike(connection, walk, changes, first, (*reached, min(found, room)))
        return place, found <= room
    return _read_each(connection, walk, changes, room, reached)


def _read_each(
    connection: sqlite3.Connection, walk: Walk, changes: Changes, room: int, reached: _Reached
) -> tuple[Spot, bool]:
    """Add items one by one; return the place behind them, and was it all."""
    end = b"}" + changes.between
    statement = _statement(_rows, walk.mark.mask & ~FREE_TEXT, inclusive=walk.start.half)
    rows: list[_Row] = connection.execute(statement, (b"}" + end, *reached, room + 1)).fetchall()
    if walk.mark.mode is Mode.NARROW:
        rows = _halves(rows, walk)
    exhausted = len(rows) <= room
    del rows[room:]
    leads = {kind: _lead_of(connection, walk, kind) for kind in {row[0] for row in rows}}
    changes.pieces += [
        piece
        for kind, record, body in rows
        for piece in (
            (leads[kind], quoted(record), b',"record":', body)
            if kind & 1
            else (leads[kind], quoted(record), end)
        )
    ]
    changes.count += len(rows)
    changes.more |= not exhausted
    given = [record for kind, record, _ in rows if kind & 1]
    taken = [record for kind, record, _ in rows if not kind & 1]
    changes.tell(walk.mark, Told(given, taken))
    kind, record, _ = rows[-1]
    return Spot(abs(kind) >> 1, record, kind < 0), exhausted


def _read_alike(
    connection: sqlite3.Connection, walk: Walk, changes: Changes, kind: int, reached: _Reached
) -> Spot:
    """Add items that differ in their records only, as one piece; return the place behind them.

    Nearly all pages of a whole register are like this. A row that comes to Python costs as much
    as SQLite's finding it, so SQLite joins them; identifiers are base32 and need no quoting.
    """
    first, middle, end = _lead_of(connection, walk, kind) + b'"', b'","record":', b"}"
    statement = _statement(_joined, walk.mark.mask & ~FREE_TEXT, inclusive=walk.start.half)
    around = (end, end + changes.between + first, middle)
    names, bodies, joined = connection.execute(statement, (*around, *reached)).fetchone()
    records = names.split(" ")
    if joined != len(records):
        raise StoreError("records in the feed have no content: rebuild the serving store")
    changes.pieces += (first + records[0].encode() + middle, bodies, end + changes.between)
    changes.count += len(records)
    changes.tell(walk.mark, Told(records, []))
    return Spot(kind >> 1, records[-1])


def _halves(rows: list[_Row], walk: Walk) -> list[_Row]:
    """Return the rows with what takes a record back before each that is sent again."""
    halves: list[_Row] = []
    for kind, record, body in rows:
        publication = kind >> 1
        if kind & 1 and publication <= walk.horizon:
            half = (publication, record, True)
            if half != walk.start[:3]:
                halves.append((-2 * publication, record, b""))
        halves.append((kind, record, body))
    return halves


def _lead_of(connection: sqlite3.Connection, walk: Walk, kind: int) -> bytes:
    """Return how the items of a kind of row begin."""
    mark, publication, alive = walk.mark, abs(kind) >> 1, kind & 1
    if kind < 0:
        return lead("retract", "authorization", mark)
    if alive and publication <= walk.horizon and mark.mode is not Mode.READ:
        return lead("upsert", "authorization", mark)
    (cause,) = connection.execute(
        "SELECT cause FROM publication WHERE id = ?", (publication,)
    ).fetchone()
    return lead("upsert" if alive else "delete", cause, mark)


def _retract(
    connection: sqlite3.Connection, walk: Walk, changes: Changes, limit: int
) -> tuple[Spot, bool]:
    """Add a retraction of every record the reader may have and may not keep.

    It may have what lived between the reader's coming and its place, deleted since or not.
    Who may keep nearly all gets a page with nearly nothing, instead of waiting for all of it to
    be looked at; only what it may have counts for that, because how much that is it knows.
    """
    start, kept, bound = walk.start, -1, 0
    if walk.mark.then is not None and walk.mark.keep:
        goal = arrive(walk.mark)
        assert goal is not None  # noqa: S101 - there is a target
        arrived = walk_of(connection, goal)
        kept, bound = arrived.space, arrived.horizon
    reached, room = (start.publication, start.record, walk.origin), limit - changes.count
    budget = MAX_WALKED - changes.walked
    rows = connection.execute(
        _RETRACTIONS, (kept, bound, walk.space, start.retracted, *reached, *reached, budget)
    ).fetchall()
    changes.walked += len(rows)
    back, records = lead("retract", "authorization", walk.mark), list[str]()
    passed, exhausted = start.retracted, len(rows) < budget
    for record, stays in rows:
        if not stays:
            if len(records) == room:
                exhausted = False
                break
            changes.pieces += (back, quoted(record), b"}" + changes.between)
            records.append(record)
        passed = record
    changes.count += len(records)
    changes.tell(walk.mark, Told([], records))
    changes.more |= not exhausted
    return start._replace(retracted=passed), exhausted


_RETRACTIONS = """
SELECT r.record_id, EXISTS (
    SELECT 1 FROM record k WHERE k.space = ? AND k.record_id = r.record_id
    AND k.alive = 1 AND k.born <= ?)
FROM record r WHERE r.space = ? AND r.record_id > ?
AND (((r.born, r.record_id) <= (?, ?) AND (r.alive = 1 OR r.p_core > ?))
     OR EXISTS (SELECT 1 FROM life l WHERE l.space = r.space AND l.record_id = r.record_id
                AND (l.born, l.record_id) <= (?, ?) AND l.died > ?))
ORDER BY r.record_id LIMIT ?
"""
"""Dead records end at the publication that touched their core last."""


_LOOKED_UP = f"LEFT JOIN fragment f ON {FRAGMENT_OF_RECORD.replace('r.', 'c.')} AND c.alive = 1"
"""Outer joins are not reordered: SQLite walks ``change`` in order and looks the fragments up."""


def _kinds(_mask: int, walked: str) -> str:
    kinds = f"SELECT c.publication << 1 | c.alive AS kind FROM change c {walked}"
    return f"SELECT count(*), min(kind), max(kind) FROM ({kinds})"


def _rows(mask: int, walked: str) -> str:
    columns = f"c.publication << 1 | c.alive, c.record_id, {column_of(mask, end='?')}"
    return f"SELECT {columns} FROM change c {_LOOKED_UP} {walked}"


def _joined(mask: int, walked: str) -> str:
    # What stands between two bodies is named for each row, and the fragments are looked up outside
    # of what is walked: each saves a copy of the body.
    return (
        f"SELECT group_concat(c.record_id, ' '), CAST(group_concat({joined_of(mask, end='?')}, "
        "? || c.record_id || ?) AS BLOB), count(f.id) "
        f"FROM (SELECT c.record_id, c.id, c.alive FROM change c {walked}) c {_LOOKED_UP}"
    )


@cache
def _statement(asked: Callable[[int, str], str], mask: int, *, inclusive: bool) -> str:
    """Return a statement that reads a feed in order, for readers of some classes.

    A record stands at the last place that touched one of these classes.
    """
    return asked(
        mask,
        f"WHERE c.space = ? AND (c.publication, c.record_id) {'>=' if inclusive else '>'} (?, ?) "
        "AND (c.touched & ?) != 0 AND (c.later & ?) = 0 AND (c.alive = 1 OR c.publication > ?) "
        "ORDER BY c.publication, c.record_id LIMIT ?",
    )
