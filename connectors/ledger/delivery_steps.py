"""Steps in a delivery's life: which are allowed, and how they become history."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from connectors.ledger import audit
from connectors.ledger.schema import delivery_events
from ipregister.deliveries import EFFECTIVE, NEXT, State
from ipregister.errors import LedgerConflict


def refuse_wrong_step(row: Row[Any], to: State, expected: State | None, worker: str | None) -> None:
    """Raise unless a delivery is where the caller saw it and may go where it wants.

    Raises:
        LedgerConflict: someone else moved it or works on it, or there is no such step.
    """
    state = State(row.state)
    if expected is not None and state is not expected:
        then = " (revert one that was published)" if state in EFFECTIVE else ""
        raise LedgerConflict(f"delivery {row.delivery_id} is {state}, not {expected}{then}")
    if worker is not None and row.leased_by != worker:
        raise LedgerConflict(f"delivery {row.delivery_id} is being processed by another worker")
    if to not in NEXT[state]:
        steps = ", ".join(sorted(NEXT[state])) or "nothing: that is final"
        raise LedgerConflict(f"delivery {row.delivery_id} is {state} and can become {steps}")


def note_step(
    connection: Connection,
    delivery_id: str,
    state: State,
    *,
    at: datetime,
    by: str,
    reason: str | None,
    before: State | None,
    results: Mapping[str, Any] | None = None,
    action: str | None = None,
) -> None:
    """Write a step into the delivery's history and the audit chain; the last of a transaction."""
    c = delivery_events.c
    last = select(func.max(c.position)).where(c.delivery_id == delivery_id)
    event = {"state": state, "at": at, "actor": by, "reason": reason}
    position = (connection.scalar(last) or 0) + 1
    connection.execute(
        insert(delivery_events), {"delivery_id": delivery_id, "position": position, **event}
    )
    audit.append(
        connection,
        at=at,
        by=by,
        action=f"delivery:{action or state}",
        subject=delivery_id,
        before=before and {"state": before},
        after={"state": state, "reason": reason, **(results or {})},
    )
