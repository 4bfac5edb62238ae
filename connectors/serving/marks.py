"""Where a reader stands in the change feed, and what a change of its grants makes of that.

Nothing is remembered about readers: a mark says where one stands *and under which grant it
read*. When the grants differ from a mark, the difference becomes part of the feed. Other
classes of the same view: more re-issue every record, fewer retract and re-issue them. Another
view, or the same after a break: what the reader may have of the old one and may not keep is
retracted, then the new one is sent. No view any more: everything is retracted.

A place is told in numbers its reader may know: how many publications of its view touched each
class it may see, and the last record it got. A change it may not see alters neither, so its
cursor does not change either.
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
    """Pass them on."""
    GRANT = 1
    """As ``READ``, but the reason is a new authorization."""
    REISSUE = 2
    """Send everything again: the reader has some of it, from before."""
    NARROW = 3
    """Retract everything and send what is left of it."""
    RETRACT = 4
    """Retract up to the reader's place; then the mark disappears, or goes on at ``then``."""


class Target(msgspec.Struct, frozen=True, array_like=True):
    """What a reader may see now: the classes of a view, since when, and its newest counts."""

    mask: int
    key: bytes
    since: int
    latest: Counts = NOWHERE

    def is_grant_of(self, other: "Target | Mark") -> bool:
        """Tell whether the same records are shared without a break."""
        return (self.key, self.since) == (other.key, other.since)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader stands in the feed of one office and right, and under which grant.

    ``key`` is the view, ``since`` the beginning of the grant. ``half`` stands between the
    retraction and the re-issue of ``record``; ``retracted`` is the last record retracted.
    ``origin`` counts the publications before the reader came: what was deleted by then it
    never had. ``keep`` tells whether, of what is retracted, it may keep what ``then`` has.
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
    key: bytes = b""
    since: int = 0
    origin: int = 0
    keep: bool = True
    then: Target | None = None


def adjust(mark: Mark | None, space: Space, target: Target | None, *, first: bool) -> Mark:
    """Return the mark from which a reader goes on.

    Args:
        mark: where it stood, if it has been in this space.
        space: office and right.
        target: what it may see now; nothing when it may see nothing of this space.
        first: this is the reader's very first page of the feed.
    """
    if mark is None:
        assert target is not None  # noqa: S101 - a space is marked or granted
        return _start(space, target, Mode.READ if first else Mode.GRANT)
    if target is None:
        return _retract(mark, None)
    has_nothing = mark.counts == NOWHERE and mark.mode in (Mode.READ, Mode.GRANT)
    if mark.mode is Mode.RETRACT or (not target.is_grant_of(mark) and not has_nothing):
        return _retract(mark, target)
    if has_nothing and not (target.is_grant_of(mark) and target.mask == mark.mask):
        return _start(space, target, mark.mode)
    if target.mask == mark.mask:
        return mark
    fewer = mark.mode is Mode.NARROW or bool(mark.mask & ~target.mask)
    mode = Mode.NARROW if fewer else Mode.REISSUE
    return _go(mark.office, mark.right, target, mode, origin=mark.origin)


def arrive(mark: Mark) -> Mark | None:
    """Return where a reader goes on when everything is retracted, if anywhere."""
    if mark.then is None:
        return None
    return _go(mark.office, mark.right, mark.then, Mode.REISSUE, origin=mark.then.latest[0])


def _start(space: Space, target: Target, mode: Mode) -> Mark:
    return _go(*space, target, mode, origin=target.latest[0])


def _go(office: str, right: Right, target: Target, mode: Mode, *, origin: int) -> Mark:
    return Mark(
        *(office, right, target.mask, mode),
        horizon=target.latest,
        key=target.key,
        since=target.since,
        origin=origin,
    )


def _retract(mark: Mark, target: Target | None) -> Mark:
    """Return the mark that retracts what a reader may have, on its way to a target."""
    if mark.mode is Mode.RETRACT:
        now, then = (target, mark.then)
        if now == then or (now and then and now.is_grant_of(then) and now.mask == then.mask):
            return mark
        keep = mark.keep
    else:
        keep = mark.mode is not Mode.NARROW
    fewer = target is not None and bool(mark.mask & ~target.mask)
    counts, record = mark.counts, mark.record
    if mark.mode in (Mode.REISSUE, Mode.NARROW):
        # Half way through a re-issue the reader still holds all it had before.
        counts, record = mark.horizon, END
    return Mark(
        *(mark.office, mark.right, mark.mask, Mode.RETRACT, counts, record),
        key=mark.key,
        since=mark.since,
        origin=mark.origin,
        keep=keep and not fewer,
        then=target,
    )


def restrict(counts: Counts, mask: int) -> Counts:
    """Return the counts a reader of the classes ``mask`` may know."""
    return tuple(
        count if bit & mask else 0 for count, bit in zip(counts, BITS.values(), strict=True)
    )
