"""Finding deliveries: one query for the exchange history, whoever reads it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, or_, select

from connectors.ledger.delivery_rows import with_files
from connectors.ledger.records import Delivery
from connectors.ledger.schema import deliveries
from ipregister.deliveries import Kind, State
from ipregister.model import Right

Place = tuple[datetime, str]
"""Where a page ends: arrival and identifier of its last delivery."""


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """What somebody wants to see of the exchange history; what is not given does not narrow it.

    ``since`` is the first instant of arrival (UTC), ``until`` the first that is too late;
    ``after`` is the place to go on from.
    """

    office: str | None = None
    right: Right | None = None
    kind: Kind | None = None
    states: Collection[State] | None = None
    reverted: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: Place | None = None
    limit: int | None = None


def search(connection: Connection, wanted: DeliveryQuery) -> list[Delivery]:
    """Return deliveries, newest first."""
    c = deliveries.c
    query = select(deliveries).order_by(c.received_at.desc(), c.delivery_id.desc())
    if wanted.office is not None:
        query = query.where(c.office == wanted.office)
    if wanted.right is not None:
        query = query.where(c.right == wanted.right)
    if wanted.kind is not None:
        query = query.where(c.kind == wanted.kind)
    if wanted.states is not None:
        query = query.where(c.state.in_(wanted.states))
    if wanted.reverted is not None:
        told = c.reverted_at
        query = query.where(told.is_not(None) if wanted.reverted else told.is_(None))
    if wanted.since is not None:
        query = query.where(c.received_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(c.received_at < wanted.until)
    if wanted.after is not None:
        at, name = wanted.after
        earlier = and_(c.received_at == at, c.delivery_id < name)
        query = query.where(or_(c.received_at < at, earlier))
    return with_files(connection, connection.execute(query.limit(wanted.limit)).all())
