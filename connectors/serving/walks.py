"""Where a reader stands in this store: its mark in the store's own numbers, and back.

A mark says how many publications its reader has seen of each class, because that is the same in
every store made of a register; here it becomes the publication with which they had come that
far. What is read from there is ``feed``.
"""

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from connectors.serving.marks import NOWHERE, Counts, Mark, Mode, Target, restrict
from connectors.serving.places import counts_now
from connectors.serving.rows import BITS, FREE_TEXT, Space, key_of, mask_of, view_of
from connectors.serving.schema import COUNTS
from connectors.serving.spaces import located
from ipregister.authorizations import Grant


class PlaceUnknown(LookupError):
    """The mark does not fit this store (it was rebuilt): the reader must start again."""


class Spot(NamedTuple):
    """A mark in the terms of this store; 0 and empty are before everything."""

    publication: int = 0
    record: str = ""
    half: bool = False
    retracted: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """One space to read: its number, the adjusted mark, and the mark's places here."""

    space: int
    mark: Mark
    start: Spot
    horizon: int
    origin: int


def target_of(connection: sqlite3.Connection, space: Space, grant: Grant | None) -> Target | None:
    """Return where a reader with this grant is going: all it may know of a space's feed."""
    if grant is None:
        return None
    view, mask = view_of(grant), mask_of(grant.allowed)
    now = counts_now(connection, located(connection, space, view))
    whole = mask | FREE_TEXT if grant.freeText else mask
    return Target(whole, key_of(view), grant.since, restrict(now, mask))


def walk_of(connection: sqlite3.Connection, mark: Mark) -> Walk:
    """Return the walk that begins at a mark.

    Raises:
        PlaceUnknown: the mark does not fit this store.
    """
    found = connection.execute(
        "SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = ?",
        (mark.office, str(mark.right), mark.key),
    ).fetchone()
    number = int(found[0]) if found else 0
    start = Spot(
        _publication(connection, number, mark.counts, mark.mask),
        mark.record,
        mark.half,
        mark.retracted,
    )
    return Walk(
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


def mark_of(connection: sqlite3.Connection, walk: Walk, spot: Spot, *, exhausted: bool) -> Mark:
    """Return the mark of a spot; ``exhausted`` when nothing is behind it."""
    mark = walk.mark
    if mark.mode is Mode.RETRACT:
        return msgspec.structs.replace(mark, retracted=spot.retracted)
    counts = mark.counts
    if spot.publication != walk.start.publication:
        found = connection.execute(
            f"SELECT {', '.join(COUNTS)} FROM publication WHERE id = ?",
            (spot.publication,),
        ).fetchone()
        counts = restrict(found, mark.mask)
    beyond = spot.publication > walk.horizon
    return msgspec.structs.replace(
        mark,
        mode=Mode.READ if exhausted or beyond else mark.mode,
        counts=counts,
        record=spot.record,
        horizon=NOWHERE if beyond else mark.horizon,
        half=spot.half,
    )
