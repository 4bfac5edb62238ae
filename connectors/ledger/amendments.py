"""What happens to a delivery after its end: its receipt is put right, it is read again.

What a delivery means must not depend on when its neighbours arrived, so a receipt changes when
an older delivery comes later; the one it had stays in the history and in the audit chain.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from connectors.ledger.delivery_rows import unknown
from connectors.ledger.delivery_steps import note_step
from connectors.ledger.schema import deliveries
from ipregister.deliveries import Receipt, State
from ipregister.errors import StoreError


def amend(
    connection: Connection,
    delivery_id: str,
    change: Mapping[str, int],
    because_of: str,
    because: str = "came later but is older",
) -> dict[str, Any]:
    """Add to the counts of a delivery's receipt; return the step to be noted.

    The step is noted later because what writes the audit chain comes last in a transaction.

    Args:
        connection: the transaction in which the late delivery takes effect.
        delivery_id: whose receipt.
        change: by how much each count differs, by its name.
        because_of: the late delivery.
        because: what it did.

    Raises:
        UnknownDelivery: there is none of this identifier.
        StoreError: the amended receipt does not add up.
    """
    state, before, after = _amended(connection, delivery_id, change)
    mine = deliveries.c.delivery_id == delivery_id
    connection.execute(update(deliveries).where(mine).values(receipt=after))
    told = ", ".join(f"{name} {before[name]:,} → {after[name]:,}" for name in sorted(change))
    return {
        "delivery_id": delivery_id,
        "state": state,
        "reason": f"amended: delivery {because_of} {because} ({told})",
        "before": state,
        "results": {"receipt": after},
    }


def refuse_wrong_sums(
    connection: Connection, receipt: Receipt, amendments: Mapping[str, Mapping[str, int]]
) -> None:
    """Refuse a receipt, or the change of another, that does not add up.

    Raises:
        UnknownDelivery: there is no delivery of this identifier.
        StoreError: one of them does not add up.
    """
    if not _adds_up(receipt):
        raise StoreError(f"the receipt does not add up: {receipt}")
    for delivery_id, change in amendments.items():
        _amended(connection, delivery_id, change)


def _amended(
    connection: Connection, delivery_id: str, change: Mapping[str, int]
) -> tuple[State, dict[str, int], dict[str, int]]:
    """Return the state of a delivery, its receipt and what that will be."""
    query = select(deliveries.c.state, deliveries.c.receipt).where(
        deliveries.c.delivery_id == delivery_id
    )
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise unknown(delivery_id)
    before = asdict(Receipt(**(row.receipt or {})))
    after = before | {name: before[name] + count for name, count in change.items()}
    if not _adds_up(Receipt(**after)):
        raise StoreError(f"the amended receipt of {delivery_id} does not add up: {after}")
    return State(row.state), before, after


def _adds_up(receipt: Receipt) -> bool:
    return receipt.adds_up() and min(asdict(receipt).values()) >= 0


def remark(connection: Connection, delivery_id: str, at: datetime, by: str, reason: str) -> None:
    """Note something that happened to a delivery and leaves its state as it is.

    Raises:
        UnknownDelivery: there is none of this identifier.
    """
    found = connection.scalar(
        select(deliveries.c.state).where(deliveries.c.delivery_id == delivery_id)
    )
    if found is None:
        raise unknown(delivery_id)
    state = State(found)
    note_step(connection, delivery_id, state, at=at, by=by, reason=reason, before=state)
