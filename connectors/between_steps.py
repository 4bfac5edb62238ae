"""Deliveries that were decided and not yet published: nobody may decide about others meanwhile.

What was decided was decided against what the register said then.
"""

from connectors.hub import Hub
from ipregister.deliveries import UNFINISHED
from ipregister.errors import LedgerConflict
from ipregister.model import Right


def is_decided(hub: Hub, delivery_id: str) -> bool:
    """Tell whether a delivery's changes were decided; then nothing but publishing is left."""
    return (hub.home.staging(delivery_id) / "publication.json").exists()


def refuse_between_steps(hub: Hub, office: str, right: Right) -> None:
    """Refuse while a delivery waits that was decided against what the register says now.

    Raises:
        LedgerConflict: there is one; it is just being published, or its worker died before.
    """
    for other in hub.ledger.deliveries.list(office=office, right=right, states=UNFINISHED):
        if is_decided(hub, other.deliveryId):
            raise LedgerConflict(
                f"delivery {other.deliveryId} is half published; try again when it is through "
                "(the next run of `iphub process` or Dagster ends it if nobody works on it)"
            )
