"""Who works on which delivery, and what waits for somebody to.

A worker takes a delivery for a while and prolongs that as it goes on; one that is not heard of any
more loses it to the next. A step ends the lease (``deliveries.move``).
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update

from connectors.ledger.delivery_rows import one, with_files
from connectors.ledger.delivery_steps import note_step
from connectors.ledger.engine import Database
from connectors.ledger.records import Delivery
from connectors.ledger.schema import deliveries
from ipregister.deliveries import UNFINISHED, State

LEASE = timedelta(minutes=30)
"""A full extraction of a million records takes minutes; a dead worker's is free again then."""

LONGEST = timedelta(days=1)
"""No lease ends later from now: one that does was taken by a clock that was ahead."""


class Leases:
    """Finding, taking and keeping work."""

    def __init__(self, database: Database) -> None:
        """Keep leases in ``database``."""
        self._database = database

    def waiting(self, office: str | None = None, at: datetime | None = None) -> list[Delivery]:
        """Return what is to be processed, in the order in which it must be.

        The office's own date counts first (the day of arrival where it has none), then its
        number within the day, then arrival. A held delivery that was released waits too; with
        ``at``, also one whose worker has not been heard of for a ``LEASE``.
        """
        c = deliveries.c
        free: ColumnElement[bool] = c.leased_until.is_(None)
        if at is not None:
            free = or_(free, c.leased_until <= at, c.leased_until > at + LONGEST)
        waits = or_(c.state == State.RECEIVED, and_(c.state == State.CHECKING, free))
        query = select(deliveries).where(waits)
        if office is not None:
            query = query.where(c.office == office)
        with self._database.read() as connection:
            found = with_files(connection, connection.execute(query).all())
        return sorted(found, key=lambda delivery: delivery.order)

    def end(self, is_dead: Callable[[str], bool], at: datetime) -> int:
        """End those of workers known to be dead; return how many.

        Their deliveries wait again at once instead of after a ``LEASE``; whoever claims one
        is recorded as having taken it over.
        """
        c = deliveries.c
        leased = and_(c.state == State.CHECKING, c.leased_until > at)
        with self._database.write() as connection:
            found = connection.execute(select(c.delivery_id, c.leased_by).where(leased)).all()
            dead = [name for name, worker in found if worker is not None and is_dead(worker)]
            connection.execute(
                update(deliveries).where(c.delivery_id.in_(dead)).values(leased_until=at)
            )
        return len(dead)

    def claim(self, delivery_id: str, worker: str, at: datetime) -> bool:
        """Take a waiting delivery for a ``LEASE``; of several workers one gets ``True``.

        Raises:
            UnknownDelivery: there is none of this identifier.
        """
        c = deliveries.c
        mine = c.delivery_id == delivery_id
        with self._database.write() as connection:
            found = connection.execute(
                select(c.state, c.leased_by, c.leased_until)
                .where(mine)
                .with_for_update(skip_locked=True)
            ).one_or_none()
            if found is None:
                one(connection, delivery_id)
                return False  # another worker is taking it at this moment
            until = found.leased_until
            expired = until is None or not at < until <= at + LONGEST
            if found.state not in UNFINISHED or not expired:
                return False
            connection.execute(
                update(deliveries)
                .where(mine)
                .values(state=State.CHECKING, leased_by=worker, leased_until=at + LEASE)
            )
            reason = f"taken over from {found.leased_by}" if found.leased_by else None
            note_step(
                connection,
                delivery_id,
                State.CHECKING,
                at=at,
                by=worker,
                reason=reason,
                before=State(found.state),
            )
        return True

    def renew(self, delivery_id: str, worker: str, at: datetime) -> bool:
        """Prolong a lease by a ``LEASE`` from ``at``; ``False`` when it is another's by now."""
        c = deliveries.c
        mine = and_(c.delivery_id == delivery_id, c.leased_by == worker)
        with self._database.write() as connection:
            statement = update(deliveries).where(mine, c.state == State.CHECKING)
            return connection.execute(statement.values(leased_until=at + LEASE)).rowcount == 1
