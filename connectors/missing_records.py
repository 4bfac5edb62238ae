"""The list of records that would disappear with a held delivery, for who decides about it.

The guard that holds a delivery writes it (``register.guard_measures``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from connectors.hub import Hub
from ipregister.errors import InvalidRequest

MISSING_FIELDS = ("applicationNumber", "recordId", "applicationDate")

BATCH = 5_000

Missing = dict[str, Any]
"""One record, members as ``MISSING_FIELDS``."""


def missing_batches(hub: Hub, delivery_id: str, *, after: int = 0) -> Iterator[list[Missing]]:
    """Return the records behind the first ``after``, oldest application first, in batches.

    Raises:
        InvalidRequest: no guard held the delivery.
    """
    source = hub.home.missing(delivery_id)
    if not source.exists():
        raise InvalidRequest(
            f"{delivery_id} was not held by a guard, so there is no list of missing records"
        )
    return _batches(source, after)


def _batches(source: Path, skipped: int) -> Iterator[list[Missing]]:
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(BATCH, columns=list(MISSING_FIELDS)):
            rest = batch.slice(min(skipped, batch.num_rows))
            skipped -= batch.num_rows - rest.num_rows
            if rest.num_rows:
                yield rest.to_pylist()
