"""The hub's stores as a Dagster resource."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from connectors.hub import Hub
from connectors.settings import Settings


class HubResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic only in its stubs
    """Opens the hub's stores for one run.

    ``home`` is the hub's directory; other settings come from the environment.
    """

    home: str

    @contextmanager
    def open(self) -> Iterator[Hub]:
        """Lend the stores; they are closed afterwards."""
        hub = Hub.open(Settings(home=Path(self.home)))
        try:
            yield hub
        finally:
            hub.close()
