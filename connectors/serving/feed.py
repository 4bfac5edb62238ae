"""The change feed: what a reader must do to hold exactly what it may hold.

Every record stands once in a reader's feed, at the last publication that touched a class the
reader may see, with its present content. Offices and rights come one after the other; within
one, items are in order of publication. How grants and places become marks is ``marks``.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import msgspec

from connectors.serving.marks import (
    NOWHERE,
    Counts,
    Mark,
    Mode,
    Target,
    adjust,
    arrive,
    restrict,
)
from connectors.serving.reading import column_of
from connectors.serving.rows import BITS, FREE_TEXT, Space, key_of, mask_of, view_of
from connectors.serving.schema import COUNTS, FRAGMENT_OF_RECORD
from connectors.serving.spaces import located
from ipregister.authorizations import Grant
from ipregister.errors import StoreError

MAX_WALKED = 10_000
"""Records of a page that are looked at for whether their reader may keep them: about 30 ms."""


class Told(NamedTuple):
    """The records a page gave to its reader, and those it took back or said were gone."""

    given: list[str]
    taken: list[str]


@dataclass(slots=True)
class Changes:
    """One page of the feed: its items, the reader's new place, is there more.

    The ``pieces`` make up ``count`` items, JSON objects as they came from the store, each with
    ``between`` behind it, and end with a small one: a page is some megabytes in up to thousands
    of pieces, so they are joined once and looked at no more than that. ``walked`` are the records
    looked at for whether their reader may keep them. ``told`` says what the items are about, for
    whoever keeps account of it.
    """

    between: bytes = b","
    count: int = 0
    walked: int = 0
    pieces: list[bytes] = field(default_factory=list)
    told: dict[Space, Told] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    more: bool = False

    @property
    def items(self) -> list[bytes]:
        """Return the items one by one; for pages with a comma between them."""
        listed = msgspec.json.decode(self.joined(b"[", b"]"), type=list[msgspec.Raw])
        return [bytes(item) for item in listed]

    def joined(self, start: bytes, end: bytes) -> bytes:
        """Return the items in one piece, with something around them."""
        pieces = [start, *self.pieces]
        if self.pieces:
            pieces[-1] = pieces[-1].removesuffix(self.between)
        pieces.append(end)
        return b"".join(pieces)


class PlaceUnknown(LookupError):
    """The mark does not fit this store (it was rebuilt): the reader must start again."""


class _Place(NamedTuple):
    """A mark in the terms of this store; 0 and empty are before everything."""

    publication: int = 0
    record: str = ""
    half: bool = False
    retracted: str = ""


_Reached = tuple[object, ...]
"""Values of a statement that reads a feed, from the space to the limit or up to it."""

_Row = tuple[int, str, bytes]
"""Kind, identifier, and where it lives the record with what ends its item. The kind is twice the
publication, one more where the record lives; below zero it takes back what is sent again."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """One space to read: its number, the adjusted mark, and the mark's places here."""

    space: int
    mark: Mark
    start: _Place
    horizon: int
    origin: int


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
            walk = _walk(connection, mark)
            read = _retract if mark.mode is Mode.RETRACT else _read
            place, exhausted = read(connection, walk, changes, limit)
            if mark.mode is Mode.RETRACT and exhausted:
                mark = arrive(mark)
                continue
            changes.marks.append(_marked(connection, walk, place, exhausted=exhausted))
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
        _walk(connection, known)  # a place of another store must not pass for one of this
    return mark


def target_of(connection: sqlite3.Connection, space: Space, grant: Grant | None) -> Target | None:
    """Return where a reader with this grant is going: all it may know of a space's feed."""
    if grant is None:
        return None
    view, mask = view_of(grant), mask_of(grant.allowed)
    latest = connection.execute(
        f"SELECT {', '.join(COUNTS)} FROM publication WHERE space = ? "
        "ORDER BY n_core DESC, id DESC LIMIT 1",
        (located(connection, space, view),),
    ).fetchone()
    whole = mask | FREE_TEXT if grant.freeText else mask
    return Target(whole, key_of(view), grant.since, restrict(latest or NOWHERE, mask))


def _walk(connection: sqlite3.Connection, mark: Mark) -> _Walk:
    found = connection.execute(
        "SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = ?",
        (mark.office, str(mark.right), mark.key),
    ).fetchone()
    number = int(found[0]) if found else 0
    start = _Place(
        _publication(connection, number, mark.counts, mark.mask),
        mark.record,
        mark.half,
        mark.retracted,
    )
    return _Walk(
        number,
        mark,
        start,
        _publication(connection, number, mark.horizon, mark.mask),
        _publication(connection, number, (mark.origin, *NOWHERE[1:]), 1),
    )


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


def _read(
    connection: sqlite3.Connection, walk: _Walk, changes: Changes, limit: int
) -> tuple[_Place, bool]:
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
    connection: sqlite3.Connection, walk: _Walk, changes: Changes, room: int, reached: _Reached
) -> tuple[_Place, bool]:
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
            (leads[kind], _json(record), b',"record":', body)
            if kind & 1
            else (leads[kind], _json(record), end)
        )
    ]
    changes.count += len(rows)
    changes.more |= not exhausted
    given = [record for kind, record, _ in rows if kind & 1]
    taken = [record for kind, record, _ in rows if not kind & 1]
    _tell(changes, walk, Told(given, taken))
    kind, record, _ = rows[-1]
    return _Place(abs(kind) >> 1, record, kind < 0), exhausted


def _read_alike(
    connection: sqlite3.Connection, walk: _Walk, changes: Changes, kind: int, reached: _Reached
) -> _Place:
    """Add items that differ in their records only, as one piece; return the place behind them.

    Nearly all pages of a whole register are like this. A row that comes to Python costs as much
    as SQLite's finding it, so SQLite joins them; identifiers are base32 and need no quoting.
    """
    lead, middle, end = _lead_of(connection, walk, kind) + b'"', b'","record":', b"}"
    statement = _statement(_joined, walk.mark.mask & ~FREE_TEXT, inclusive=walk.start.half)
    around = (end + changes.between + lead, middle, end)
    names, bodies, joined = connection.execute(statement, (*around, *reached)).fetchone()
    records = names.split(" ")
    if joined != len(records):
        raise StoreError("records in the feed have no content: rebuild the serving store")
    changes.pieces += (lead + records[0].encode() + middle, bodies, end + changes.between)
    changes.count += len(records)
    _tell(changes, walk, Told(records, []))
    return _Place(kind >> 1, records[-1])


def _halves(rows: list[_Row], walk: _Walk) -> list[_Row]:
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


def _lead_of(connection: sqlite3.Connection, walk: _Walk, kind: int) -> bytes:
    """Return how the items of a kind of row begin."""
    where, publication, alive = _where(walk.mark), abs(kind) >> 1, kind & 1
    if kind < 0:
        return _lead("retract", "authorization", where)
    if alive and publication <= walk.horizon and walk.mark.mode is not Mode.READ:
        return _lead("upsert", "authorization", where)
    (cause,) = connection.execute(
        "SELECT cause FROM publication WHERE id = ?", (publication,)
    ).fetchone()
    return _lead("upsert" if alive else "delete", cause, where)


def _retract(
    connection: sqlite3.Connection, walk: _Walk, changes: Changes, limit: int
) -> tuple[_Place, bool]:
    """Add a retraction of every record the reader may have and may not keep.

    It may have what lived between the reader's coming and its place, deleted since or not.
    Who may keep nearly all gets a page with nearly nothing, instead of waiting for all of it to
    be looked at; only what it may have counts for that, because how much that is it knows.
    """
    start, kept, bound = walk.start, -1, 0
    if walk.mark.then is not None and walk.mark.keep:
        goal = arrive(walk.mark)
        assert goal is not None  # noqa: S101 - there is a target
        arrived = _walk(connection, goal)
        kept, bound = arrived.space, arrived.horizon
    reached, room = (start.publication, start.record, walk.origin), limit - changes.count
    budget = MAX_WALKED - changes.walked
    rows = connection.execute(
        _RETRACTIONS, (kept, bound, walk.space, start.retracted, *reached, *reached, budget)
    ).fetchall()
    changes.walked += len(rows)
    lead, records = _lead("retract", "authorization", _where(walk.mark)), list[str]()
    passed, exhausted = start.retracted, len(rows) < budget
    for record, stays in rows:
        if not stays:
            if len(records) == room:
                exhausted = False
                break
            changes.pieces += (lead, _json(record), b"}" + changes.between)
            records.append(record)
        passed = record
    changes.count += len(records)
    _tell(changes, walk, Told([], records))
    changes.more |= not exhausted
    return start._replace(retracted=passed), exhausted


def _tell(changes: Changes, walk: _Walk, told: Told) -> None:
    """Add what a walk gave and took; of one space there may be two walks."""
    if told.given or told.taken:
        before = changes.told.setdefault((walk.mark.office, walk.mark.right), Told([], []))
        before.given.extend(told.given)
        before.taken.extend(told.taken)


def _marked(connection: sqlite3.Connection, walk: _Walk, place: _Place, *, exhausted: bool) -> Mark:
    """Return the mark of a place."""
    mark = walk.mark
    if mark.mode is Mode.RETRACT:
        return msgspec.structs.replace(mark, retracted=place.retracted)
    counts = mark.counts
    if place.publication != walk.start.publication:
        found = connection.execute(
            f"SELECT {', '.join(COUNTS)} FROM publication WHERE id = ?",
            (place.publication,),
        ).fetchone()
        counts = restrict(found, mark.mask)
    beyond = place.publication > walk.horizon
    return msgspec.structs.replace(
        mark,
        mode=Mode.READ if exhausted or beyond else mark.mode,
        counts=counts,
        record=place.record,
        horizon=NOWHERE if beyond else mark.horizon,
        half=place.half,
    )


def _where(mark: Mark) -> bytes:
    return _json({"officeCode": mark.office, "right": mark.right})[1:-1]


def _lead(kind: str, cause: str, where: bytes) -> bytes:
    """Return how an item begins."""
    named = (kind.encode(), cause.encode(), where)
    return b'{"changeType":"%b","cause":"%b",%b,"recordId":' % named


_json = msgspec.json.Encoder().encode

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


def _kinds(_mask: int, changes: str) -> str:
    return (
        "SELECT count(*), min(kind), max(kind) "
        f"FROM (SELECT c.publication << 1 | c.alive AS kind {changes})"
    )


def _rows(mask: int, changes: str) -> str:
    return f"SELECT c.publication << 1 | c.alive, c.record_id, {column_of(mask, end='?')} {changes}"


def _joined(mask: int, changes: str) -> str:
    # What stands between two bodies is named for each row: that saves a copy of the body.
    return (
        "SELECT group_concat(record_id, ' '), "
        "CAST(group_concat(body, ? || record_id || ?) AS BLOB), count(body) "
        f"FROM (SELECT c.record_id, {column_of(mask, end='?')} AS body {changes})"
    )


@cache
def _statement(asked: Callable[[int, str], str], mask: int, *, inclusive: bool) -> str:
    """Return a statement that reads a feed in order, for readers of some classes.

    A record stands at the last place that touched one of these classes. Outer joins are not
    reordered: SQLite walks ``change`` in order and looks the fragments up.
    """
    fragment = FRAGMENT_OF_RECORD.replace("r.", "c.")
    return asked(
        mask,
        f"FROM change c LEFT JOIN fragment f ON {fragment} AND c.alive = 1 "
        f"WHERE c.space = ? AND (c.publication, c.record_id) {'>=' if inclusive else '>'} (?, ?) "
        "AND (c.touched & ?) != 0 AND (c.later & ?) = 0 AND (c.alive = 1 OR c.publication > ?) "
        "ORDER BY c.publication, c.record_id LIMIT ?",
    )
