"""From a plan to readers: the log gets a delivery's changes, then the serving store.

Both steps are one transaction each and know the delivery's name, so either may be repeated
after a crash without a second effect. Whether a delivery may be published was decided before.
"""

from collections.abc import Callable
from datetime import datetime

import pyarrow as pa

from connectors.changes import Changes, define_plan
from connectors.log_rows import log_batches, log_queries
from connectors.register.store import RegisterStore
from connectors.schema import log_schema
from connectors.served_rows import ready_batches
from connectors.serving_store import Publication, ServingStore
from connectors.staging.parts import cycle_collector_paused


def append_to_register(store: RegisterStore, changes: Changes) -> None:
    """Append a delivery's changes to the register's log, in one commit.

    Raises:
        DeltaError: nothing was appended; around a ``StoreError`` when a change has no content any
            more.
    """
    with store.connect() as con:
        define_plan(con, changes)
        queries = log_queries(con, store, changes)
        batches = log_batches(con, queries, log_schema(changes.right))
        reader = pa.RecordBatchReader.from_batches(log_schema(changes.right), batches)
        store.append(changes.right, reader, changes.delivery_id)


def publish_to_serving(
    register: RegisterStore,
    serving: ServingStore,
    changes: Changes,
    at: datetime,
    logged: Callable[[], object] | None = None,
) -> None:
    """Make a delivery's changes visible to third parties, all at once.

    Args:
        register: where the rows are read through.
        serving: what third parties read.
        changes: the delivery's.
        at: now, which may be long after the delivery was received.
        logged: returns when they are in the log, and is called before anybody sees anything; an
            exception it raises takes everything back. Not given by who writes the log later.
    """
    with register.connect() as con, cycle_collector_paused():
        define_plan(con, changes)
        vanished = con.execute(
            f"""
            SELECT recordId, {changes.first_change} + place
            FROM plan
            WHERE op = 'vanish' AND wasVisible AND shown
            ORDER BY place
            """
        ).fetchall()
        serving.publish(
            Publication(
                deliveryId=changes.delivery_id,
                office=changes.office,
                right=changes.right,
                at=at,
                upserts=(),
                vanished=vanished,
                cause=changes.cause,
                ready=ready_batches(con, changes),
            ),
            logged,
        )
