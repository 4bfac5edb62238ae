"""When deliveries took effect, as the ledger's events say."""

from datetime import datetime

from sqlalchemy import func, select

from connectors.ledger.engine import Database
from connectors.ledger.schema import deliveries, delivery_events
from ipregister.deliveries import EFFECTIVE
from ipregister.model import Right


class Publications:
    """Reading when deliveries were published."""

    def __init__(self, database: Database) -> None:
        """Read from ``database``."""
        self._database = database

    def instants(self, office: str, right: Right) -> dict[str, datetime]:
        """Return when each delivery of one office and right was published first."""
        d, e = deliveries.c, delivery_events.c
        query = (
            select(e.delivery_id, func.min(e.at, type_=e.at.type))
            .join(deliveries, d.delivery_id == e.delivery_id)
            .where(d.office == office, d.right == right)
            .where(e.state.in_(EFFECTIVE))
            .group_by(e.delivery_id)
        )
        with self._database.read() as connection:
            return {name: at for name, at in connection.execute(query)}
