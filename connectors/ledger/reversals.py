"""Deliveries that were taken back after they took effect.

The decision comes first and is one transaction; carrying it out may be repeated and ends with
``finish``. A reverted delivery keeps the state it had: that it was published stays true.
"""

import builtins
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import and_, select, update

from connectors.ledger.amendments import amend
from connectors.ledger.delivery_rows import one, unknown, with_files
from connectors.ledger.delivery_steps import note_step
from connectors.ledger.engine import Database
from connectors.ledger.records import Delivery
from connectors.ledger.schema import deliveries
from ipregister.deliveries import EFFECTIVE, State
from ipregister.errors import InvalidRequest, LedgerConflict
from ipregister.model import Right


class Reversals:
    """Deciding and finishing reversals."""

    def __init__(self, database: Database) -> None:
        """Keep reversals in ``database``."""
        self._database = database

    def decide(self, delivery_id: str, *, at: datetime, by: str, reason: str) -> Delivery:
        """Take a delivery back; one that is taken back already stays as it is.

        Raises:
            UnknownDelivery: there is none of this identifier.
            InvalidRequest: no reason.
            LedgerConflict: it has not taken effect, or another delivery of this office and
                right is just being processed.
        """
        if not reason.strip():
            raise InvalidRequest("say why it is taken back: --reason TEXT")
        c = deliveries.c
        with self._database.write() as connection:
            row = connection.execute(
                select(deliveries).where(c.delivery_id == delivery_id).with_for_update()
            ).one_or_none()
            if row is None:
                raise unknown(delivery_id)
            if row.reverted_at is not None:
                return one(connection, delivery_id)
            if row.state not in EFFECTIVE:
                raise LedgerConflict(
                    f"delivery {delivery_id} is {row.state}; only one that was published can be "
                    "reverted (withdraw one that is held)"
                )
            here = and_(c.office == row.office, c.right == row.right)
            # Also when its worker died: what it had decided was decided with this delivery.
            taken = and_(c.state == State.CHECKING, c.leased_by.is_not(None))
            busy = connection.scalar(select(c.delivery_id).where(here, taken))
            if busy is not None:
                raise LedgerConflict(
                    f"delivery {busy} is being processed; try again when it is through"
                )
            connection.execute(
                update(deliveries)
                .where(c.delivery_id == delivery_id)
                .values(reverted_at=at, reverted_by=by)
            )
            note_step(
                connection,
                delivery_id,
                State(row.state),
                at=at,
                by=by,
                reason=f"reverted by {by}: {reason.strip()}",
                before=State(row.state),
                action="reverted",
            )
            return one(connection, delivery_id)

    def unfinished(
        self, office: str | None = None, right: Right | None = None
    ) -> builtins.list[Delivery]:
        """Return deliveries that were taken back and still count, in order of the decision."""
        c = deliveries.c
        query = (
            select(deliveries)
            .where(c.reverted_at.is_not(None), c.reversal.is_(None))
            .order_by(c.reverted_at, c.delivery_id)
        )
        if office is not None:
            query = query.where(c.office == office)
        if right is not None:
            query = query.where(c.right == right)
        with self._database.read() as connection:
            return with_files(connection, connection.execute(query).all())

    def finish(
        self,
        delivery_id: str,
        *,
        counts: Mapping[str, int],
        amendments: Mapping[str, Mapping[str, int]],
        at: datetime,
        by: str,
    ) -> Delivery:
        """Note that a reversal is carried out, and put newer receipts right; once.

        Args:
            delivery_id: which delivery.
            counts: of records, what it did for readers.
            amendments: by how much the receipts of newer deliveries change.
            at: instant.
            by: who carried it out.
        """
        mine = deliveries.c.delivery_id == delivery_id
        with self._database.write() as connection:
            row = connection.execute(select(deliveries).where(mine).with_for_update()).one()
            if row.reversal is not None:
                return one(connection, delivery_id)
            connection.execute(update(deliveries).where(mine).values(reversal=dict(counts)))
            steps = [
                amend(connection, other, change, delivery_id, "was reverted")
                for other, change in sorted(amendments.items())
            ]
            told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
            note_step(
                connection,
                delivery_id,
                State(row.state),
                at=at,
                by=by,
                reason=f"it counts no more ({told})",
                before=State(row.state),
                results={"reversal": dict(counts)},
                action="reversal_finished",
            )
            for step in steps:
                note_step(connection, at=at, by=by, **step)
            return one(connection, delivery_id)
