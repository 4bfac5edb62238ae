"""What arrived: a delivery, its states and its receipt.

A delivery is one or more files of one office, right and lane; its identity is the hash of
its members' hashes. How bytes arrive and where rows are kept does not belong here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ipregister.model import Right


class Kind(StrEnum):
    """What the office says a delivery is; also its lane."""

    FULL_EXTRACTION = "full_extraction"
    UPDATE = "update"
    TEST = "test"


FOLDERS = {
    Kind.FULL_EXTRACTION: "Full_Extraction",
    Kind.UPDATE: "Updates",
    Kind.TEST: "Test",
}
"""Lane folders under ``/ipob_xx/{Patents,Trademarks,Designs}``."""

RIGHT_FOLDERS = {Right.PATENTS: "Patents", Right.TRADEMARKS: "Trademarks", Right.DESIGNS: "Designs"}


class State(StrEnum):
    """Where a delivery stands."""

    RECEIVED = "received"
    INCOMPLETE = "incomplete"
    CHECKING = "checking"
    HELD = "held"
    PUBLISHED = "published"
    PUBLISHED_WITH_FINDINGS = "published_with_findings"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"
    TEST_ONLY = "test_only"


EFFECTIVE = (State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS)
"""A delivery that took effect; it has none any more once it is reverted."""

UNFINISHED = (State.RECEIVED, State.CHECKING)
"""A delivery that waits or is worked on, also one that failed or whose worker has died."""

NEXT: dict[State, frozenset[State]] = {
    State.INCOMPLETE: frozenset({State.RECEIVED, State.WITHDRAWN}),
    State.RECEIVED: frozenset({State.CHECKING, State.DUPLICATE, State.WITHDRAWN}),
    State.CHECKING: frozenset(
        {
            State.RECEIVED,
            State.HELD,
            State.PUBLISHED,
            State.PUBLISHED_WITH_FINDINGS,
            State.REJECTED,
            State.TEST_ONLY,
        }
    ),
    State.HELD: frozenset({State.CHECKING, State.WITHDRAWN}),
    State.PUBLISHED: frozenset(),
    State.PUBLISHED_WITH_FINDINGS: frozenset(),
    State.REJECTED: frozenset(),
    State.DUPLICATE: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.TEST_ONLY: frozenset(),
}
"""Allowed transitions. ``checking`` back to ``received``: the worker died, another takes over."""


def decided_from(state: State, to: State) -> State:
    """Return the state in which somebody may decide that a delivery goes on to ``to``.

    A held delivery is released or withdrawn. One whose upload died can only be withdrawn, for
    instance when the office has sent its content under another name.
    """
    return state if (state, to) == (State.INCOMPLETE, State.WITHDRAWN) else State.HELD


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of every record of a delivery; counts of records.

    ``accepted`` took effect (new, changed, or deleted as the office says), ``held`` are kept
    but not redistributed, ``rejected`` could not be read, ``unchanged`` equal what the register
    had at the delivery's place in the office's order, ``duplicates`` stand again in the same
    delivery. ``vanished`` and ``restored`` count register records; deleted ones have vanished.
    """

    recordsRead: int = 0
    accepted: int = 0
    held: int = 0
    rejected: int = 0
    unchanged: int = 0
    duplicates: int = 0
    inserted: int = 0
    updated: int = 0
    vanished: int = 0
    restored: int = 0

    def adds_up(self) -> bool:
        """Tell whether every record read is accounted for exactly once."""
        return self.recordsRead == (
            self.accepted + self.held + self.rejected + self.unchanged + self.duplicates
        )


def identity(office: str, right: Right, kind: Kind, member_hashes: Iterable[str]) -> str:
    """Return the identity of a delivery (hex SHA-256): office, right, lane, hash of hashes."""
    lines = [office, right, kind, *sorted(member_hashes)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
