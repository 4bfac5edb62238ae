"""The change feed: what a reader must do to hold exactly what it may hold.

Every record stands once in a reader's feed, at the last publication that touched a class the
reader may see, with its present content. Offices and rights come one after the other; within
one, items are in order of publication. How grants and places become marks is ``marks``.
"""

import sqlite3
from collections.abc import Mapping, Sequence
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
from connectors.serving.reading import columns_of
from connectors.serving.rows import BITS, FREE_TEXT, Space, key_of, mask_of, view_of
from connectors.serving.schema import COUNTS, FRAGMENT_OF_RECORD, PLACES
from connectors.serving.spaces import located
from ipregister.authorizations import Grant

MAX_WALKED = 10_000
"""Records of a page that are looked at for whether their reader may keep them: about 30 ms."""


class Told(NamedTuple):
    """The records a page gave to its reader, and those it took back or said were gone."""

    given: list[str]
    taken: list[str]


@dataclass(slots=True)
class Changes:
    """One page of the feed: its items, the reader's new place, is there more.

    The ``pieces`` are ``count`` items, JSON objects as they came from the store, each with
    ``between`` behind it: a page is some megabytes in thousands of pieces, so they are joined
    once and looked at no more than that. ``walked`` are the records looked at for whether their
    reader may keep them. ``told`` says what the items are about, for whoever
    keeps account of it.
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
        StoreError: a view of a grant is not prepared.
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
    mask, start = walk.mark.mask & ~FREE_TEXT, walk.start
    reached = (walk.space, start.publication, start.record)
    rows = connection.execute(
        _feed_statement(mask, inclusive=start.half),
        (*reached, mask, walk.origin, limit - changes.count + 1),
    ).fetchall()
    pieces, given, taken = changes.pieces, list[str](), list[str]()
    behind, exhausted = (start.publication, start.record, start.half), True
    end = b"}" + changes.between
    lead, back, led, count = b"", b"", (0, 0), changes.count
    for publication, alive, record, first, rest in rows:
        if led != (publication, alive):  # the same for nearly all of a page
            led = (publication, alive)
            lead, back = _leads(connection, walk, publication, alive=bool(alive))
        if back and behind != (publication, record, True) and count < limit:
            pieces += (back, _json(record), end)
            count += 1
            taken.append(record)
            behind = (publication, record, True)
        if count == limit:
            changes.more, exhausted = True, False
            break
        if alive:
            pieces += (lead, _json(record), b',"record":', first, rest, end)
            given.append(record)
        else:
            pieces += (lead, _json(record), end)
            taken.append(record)
        count += 1
        behind = (publication, record, False)
    changes.count = count
    _tell(changes, walk, Told(given, taken))
    return _Place(*behind), exhausted


def _leads(
    connection: sqlite3.Connection, walk: _Walk, publication: int, *, alive: bool
) -> tuple[bytes, bytes]:
    """Return how items of a publication begin, and what takes a record back before its item.

    The second is empty where there is nothing to take back.
    """
    where, mode = _where(walk.mark), walk.mark.mode
    if alive and publication <= walk.horizon and mode is not Mode.READ:
        back = _lead("retract", "authorization", where) if mode is Mode.NARROW else b""
        return _lead("upsert", "authorization", where), back
    (cause,) = connection.execute(
        "SELECT cause FROM publication WHERE id = ?", (publication,)
    ).fetchone()
    return _lead("upsert" if alive else "delete", cause, where), b""


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


@cache
def _feed_statement(mask: int, *, inclusive: bool) -> str:
    """Return the statement that reads a feed in order, for readers of some classes.

    The joins are CROSS so that SQLite walks ``change`` in order and looks the others up.
    """
    places = [name for name, bit in zip(PLACES, BITS.values(), strict=True) if bit & mask]
    last = f"max({', '.join('r.' + place for place in places)})" if places[1:] else f"r.{places[0]}"
    return (
        f"SELECT c.publication, r.alive, c.record_id, {columns_of(mask)} "
        "FROM change c CROSS JOIN record r ON r.id = c.id "
        f"LEFT JOIN fragment f ON {FRAGMENT_OF_RECORD} AND r.alive = 1 "
        f"WHERE c.space = ? AND (c.publication, c.record_id) {'>=' if inclusive else '>'} (?, ?) "
        f"AND (c.touched & ?) != 0 AND c.publication = {last} "
        "AND (r.alive = 1 OR c.publication > ?) "
        "ORDER BY c.publication, c.record_id LIMIT ?"
    )
