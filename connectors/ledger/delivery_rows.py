"""How deliveries are read from the ledger's tables."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from connectors.ledger.records import Channel, DeliveredFile, Delivery
from connectors.ledger.schema import deliveries, delivery_files
from ipregister.deliveries import Kind, Receipt, State
from ipregister.errors import UnknownDelivery
from ipregister.model import Right


def unknown(delivery_id: str) -> UnknownDelivery:
    """Return the error for an identifier nobody has."""
    return UnknownDelivery(f"there is no delivery {delivery_id}", deliveryId=delivery_id)


def one(connection: Connection, delivery_id: str) -> Delivery:
    """Return one delivery.

    Raises:
        UnknownDelivery: there is none of this identifier.
    """
    query = select(deliveries).where(deliveries.c.delivery_id == delivery_id)
    found = with_files(connection, connection.execute(query).all())
    if not found:
        raise unknown(delivery_id)
    return found[0]


def with_files(connection: Connection, rows: Sequence[Row[Any]]) -> list[Delivery]:
    """Return deliveries, in the order of ``rows``, with their files."""
    c = delivery_files.c
    files: dict[str, list[DeliveredFile]] = {row.delivery_id: [] for row in rows}
    names = list(files)
    for start in range(0, len(names), 500):  # SQLite binds a limited number of values
        query = select(c.delivery_id, c.name, c.sha256, c.bytes).order_by(c.delivery_id, c.position)
        for owner, *file in connection.execute(
            query.where(c.delivery_id.in_(names[start : start + 500]))
        ):
            files[owner].append(DeliveredFile(*file))
    return [_delivery(row, tuple(files[row.delivery_id])) for row in rows]


def _delivery(row: Row[Any], files: tuple[DeliveredFile, ...]) -> Delivery:
    return Delivery(
        deliveryId=row.delivery_id,
        office=row.office,
        right=Right(row.right),
        kind=Kind(row.kind),
        channel=Channel(row.channel),
        identity=row.identity,
        state=State(row.state),
        reason=row.reason,
        receivedAt=row.received_at,
        receivedBy=row.received_by,
        officeDate=row.office_date,
        files=files,
        receipt=None if row.receipt is None else Receipt(**row.receipt),
        findings=row.findings,
        durations=row.durations,
        hold=row.hold,
        heldAt=row.held_at,
        revertedAt=row.reverted_at,
        revertedBy=row.reverted_by,
        reversal=row.reversal,
        officeSequence=row.office_sequence,
    )
