"""What was begun of an office and right besides deliveries, and not finished by who began it.

Reversals that were decided, also by somebody who cannot carry them out, and what an old
delivery says differently now. Both stand in the way of whatever comes next.
"""

from collections.abc import Callable
from datetime import datetime

from connectors.hub import Hub
from ipregister.model import Right
from pipelines import rederived
from pipelines.rederived import Reprocessed, finish_rederived
from pipelines.reverting import finish_reverts


def finish_begun(
    hub: Hub, office: str, right: Right, *, by: str, clock: Callable[[], datetime]
) -> list[Reprocessed]:
    """Finish what was begun of one office and right; the caller is ``alone`` with it.

    A reversal comes second: what was read again had been decided while the delivery counted.
    """
    done = finish_rederived(hub, office, right, clock())
    finish_reverts(hub, office, right, by=by, clock=clock)
    return done


def places_begun(hub: Hub, office: str | None = None) -> list[tuple[str, Right]]:
    """Return the offices and rights of which something is begun: all, or of one office."""
    reverted = [(each.office, each.right) for each in hub.ledger.reversals.unfinished()]
    found = {*reverted, *rederived.begun(hub)}
    return sorted(place for place in found if office in (None, place[0]))


def finish_place(
    hub: Hub, office: str, right: Right, *, by: str, clock: Callable[[], datetime]
) -> None:
    """Finish what was begun of one office and right, if nobody has done so meanwhile."""
    with hub.alone(office, right):
        finish_begun(hub, office, right, by=by, clock=clock)
