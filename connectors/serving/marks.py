"""Where a reader stands in the change feed, and what a change of its grants makes of that.

Nothing is remembered about readers: a mark says where one stands *and under which classes it
read*. When the grants differ from a mark, the difference becomes part of the feed: more
classes re-issue every record, fewer retract and re-issue them, none retracts them.

A place is told in numbers its reader may know: how many publications touched each class it
may see, and the last record it got. A change it may not see alters neither, so its cursor
does not change either.
"""

from enum import IntEnum

import msgspec

from connectors.serving.rows import BITS, Space
from ipregister.model import Right

Counts = tuple[int, ...]
"""Publications that touched each class so far; 0 for a class the reader may not see."""

NOWHERE: Counts = (0,) * len(BITS)

END = "~"
"""Sorts after every record identifier (base32): the whole publication was read."""


class Mode(IntEnum):
    """What a mark does to the records it passes, up to its horizon; beyond it just reads."""

    READ = 0
    """Pass them on; deletions up to the horizon concern records that were never sent."""
    GRANT = 1
    """As ``READ``, but the reason is a new authorization."""
    REISSUE = 2
    """Send everything again: the reader may see more of it now."""
    NARROW = 3
    """Retract everything and send what is left of it."""
    RETRACT = 4
    """Retract everything up to the reader's place; then the mark disappears."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader stands in the feed of one office and right, and under which classes.

    ``half`` stands between the retraction and the re-issue of ``record``; ``retracted`` is
    the last record retracted.
    """

    office: str
    right: Right
    mask: int
    mode: Mode = Mode.READ
    counts: Counts = NOWHERE
    record: str = ""
    horizon: Counts = NOWHERE
    half: bool = False
    retracted: str = ""


def adjust(mark: Mark | None, space: Space, mask: int, latest: Counts, *, first: bool) -> Mark:
    """Return the mark from which a reader with the classes ``mask`` goes on.

    Args:
        mark: where it stood, if it has been in this space.
        space: office and right.
        mask: the classes it may see now; 0 when it may see nothing of this space.
        latest: counts of the newest publication, under ``mask``.
        first: this is the reader's very first page of the feed.
    """
    office, right = space
    if mark is None:
        mode = Mode.READ if first else Mode.GRANT
        return Mark(office, right, mask, mode, horizon=latest)
    if mask == mark.mask and mark.mode is not Mode.RETRACT:
        return mark
    again = mark.mode in (Mode.REISSUE, Mode.NARROW)
    if not mask:
        if mark.mode is Mode.RETRACT:
            return mark
        # Half way through a re-issue the reader still holds all it had before.
        counts, record = (mark.horizon, END) if again else (mark.counts, mark.record)
        return Mark(office, right, mark.mask, Mode.RETRACT, counts, record)
    if mark.counts == NOWHERE and mark.mode in (Mode.READ, Mode.GRANT):
        return Mark(office, right, mask, mark.mode, horizon=latest)
    fewer = mark.mode is Mode.NARROW or bool(mark.mask & ~mask)
    mode = Mode.NARROW if fewer and mark.mode is not Mode.RETRACT else Mode.REISSUE
    return Mark(office, right, mask, mode, horizon=latest)


def restrict(counts: Counts, mask: int) -> Counts:
    """Return the counts a reader of the classes ``mask`` may know."""
    return tuple(
        count if bit & mask else 0 for count, bit in zip(counts, BITS.values(), strict=True)
    )
