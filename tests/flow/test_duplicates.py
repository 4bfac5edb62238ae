"""The same content again has no effect, and its office hears what that means."""

from typing import Any

from ipregister.deliveries import State


def test_the_same_file_again_is_a_duplicate_whatever_its_name(desk: Any, ipas: Any) -> None:
    document = ipas.marks(ipas.mark())
    first = desk.deliver(document, names=("KH_20261101.xml",))
    again = desk.hand_in(document, names=("KH_20261102.xml",))
    assert (again.state, again.receipt) == (State.DUPLICATE, None)
    assert again.reason == f"same content as delivery {first.deliveryId}"
    assert desk.hub.ledger.leases.waiting() == []
    second = desk.deliver(ipas.marks(ipas.mark(word="OTHER")), names=("KH_20261103.xml",))
    again = desk.hand_in(document, names=("KH_20261104.xml",))
    assert again.reason == (
        f"same content as delivery {first.deliveryId}; what came after it, last "
        f"{second.deliveryId}, stays as it is. Revert that to go back to {first.deliveryId}, or "
        "export again what should be new"
    )
