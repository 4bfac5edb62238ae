"""One page of the change feed: what is put on it, and how its items begin."""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from connectors.serving.marks import Mark
from connectors.serving.rows import Space


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

    def tell(self, mark: Mark, told: Told) -> None:
        """Add what was given and taken of one space, of which there may be two walks."""
        if told.given or told.taken:
            before = self.told.setdefault((mark.office, mark.right), Told([], []))
            before.given.extend(told.given)
            before.taken.extend(told.taken)


quoted = msgspec.json.Encoder().encode


def lead(kind: str, cause: str, mark: Mark) -> bytes:
    """Return how an item begins, up to its identifier."""
    where = quoted({"officeCode": mark.office, "right": mark.right})[1:-1]
    named = (kind.encode(), cause.encode(), where)
    return b'{"changeType":"%b","cause":"%b",%b,"recordId":' % named
