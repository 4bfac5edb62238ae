"""What a run will read is made ready while Dagster starts, which takes a second.

Imports little, so that the processes that read are the first to start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectors.staging.pool import POOL_ABOVE_BYTES, start_early
from pipelines import ahead

if TYPE_CHECKING:
    from connectors.hub import Hub

READER = "connectors.staging.stage"
"""What reading processes import; here it would delay them."""

ZIP_RATIO = 20
"""How much more XML a ZIP usually holds; where it holds pictures, readers start in vain."""


@contextmanager
def reading_expected(hub: "Hub", office: str | None = None) -> Iterator[None]:
    """Start the processes that read if much waits, else read what waits ahead of its turn."""
    waiting = hub.ledger.leases.waiting(office)
    expected = sum(
        file.bytes * (ZIP_RATIO if file.name.lower().endswith(".zip") else 1)
        for delivery in waiting
        for file in delivery.files
    )
    if hub.settings.workers == 1 or not waiting:
        yield
    elif expected >= POOL_ABOVE_BYTES:
        start_early(hub.settings.workers, READER)
        yield
    else:
        ahead.begin(hub, waiting)
        try:
            yield
        finally:
            ahead.forget()
