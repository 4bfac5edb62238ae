"""What the night does: fold, compact, vacuum, sweep, forget; beside readers and writers.

Every step may be stopped at any moment and repeated.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

from connectors.faults import reach
from connectors.hub import Hub
from connectors.sweeping import ABANDONED, Swept, sweep
from connectors.views import forget_views
from ipregister.model import Right


@dataclass(frozen=True, slots=True)
class Folded:
    """One office and right whose base was written anew: its rows, and how long that took."""

    office: str
    right: Right
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done: partitions folded, unused files removed, leftovers, expired tokens.

    ``notifications`` are those that arrived, or were given up, long ago.
    ``exported`` are the bytes of prepared files that were too old or too many, ``views`` the
    views of readers that no authorization has needed for a while.
    """

    folded: tuple[Folded, ...]
    vacuumed: int
    swept: Swept
    tokens: int
    notifications: int
    exported: int
    views: int


def fold(hub: Hub, office: str, right: Right) -> Folded:
    """Fold one partition; what is folded must still be so at the commit: a reversal folds too."""
    with hub.alone(office, right):
        started = perf_counter()
        rows = hub.register.fold(right, office)
        return Folded(office, right, rows, round(perf_counter() - started, 4))


def maintain(
    hub: Hub,
    *,
    at: datetime,
    abandoned: timedelta = ABANDONED,
) -> Maintained:
    """Keep the stores small and fast.

    Args:
        hub: the stores.
        at: now.
        abandoned: as in ``sweep``.
    """
    folded, vacuumed = [], 0
    for right in Right:
        for office in hub.register.offices(right):
            folded.append(fold(hub, office, right))
        vacuumed += hub.register.vacuum(right)
    reach("maintain.register")
    swept = sweep(hub, at=at, abandoned=abandoned)
    reach("maintain.swept")
    tokens = hub.ledger.tokens.purge(at)
    notifications = hub.ledger.webhooks.forget(at)
    reach("maintain.tokens")
    exported = hub.exports().store.maintain(at)
    # An authorization that ran out is followed by no decision that would look for its view.
    views = forget_views(hub.ledger, hub.serving, at)
    return Maintained(tuple(folded), vacuumed, swept, tokens, notifications, exported, views)
