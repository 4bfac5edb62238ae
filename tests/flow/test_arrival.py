"""The same files in every order of arrival, through the whole pipeline."""

import json
from itertools import permutations
from typing import Any

import pytest

from ipregister.authorizations import Grant
from ipregister.deliveries import Kind, Receipt, State
from ipregister.model import Disclosure, Right

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE
MARKS = Right.TRADEMARKS
ONE, TWO, THREE = (f"KH/9000{n}/2019" for n in range(1, 4))


def files(ipas: Any) -> dict[str, tuple[Kind, str]]:
    """Return three deliveries by the office's day: the last extraction has a held version."""
    held = ipas.mark(ONE, "HELD", office="VN")
    return {
        "20261101": (FULL, ipas.marks(ipas.mark(ONE, "GOOD"), ipas.mark(TWO))),
        "20261102": (UPDATE, ipas.marks(ipas.mark(THREE), ipas.mark(TWO, "MENDED"))),
        "20261103": (FULL, ipas.marks(held, ipas.mark(TWO, "MENDED"))),
    }


def replayed(desk: Any) -> set[str]:
    """Return what a reader of the whole feed ends up with."""
    everything = {("KH", MARKS): Grant(frozenset(Disclosure))}
    there = set()
    for change in map(json.loads, desk.hub.serving.changes(everything, None, 1_000).items):
        (there.add if change["changeType"] == "upsert" else there.discard)(change["recordId"])
    return there


@pytest.mark.parametrize("arrival", list(permutations(["20261101", "20261102", "20261103"])))
def test_files_in_any_order_of_arrival_end_alike(
    arrival: tuple[str, ...], desk: Any, ipas: Any
) -> None:
    sent, deliveries = files(ipas), desk.hub.ledger.deliveries
    names = {}
    for day in arrival:
        kind, document = sent[day]
        done = desk.deliver(document, kind=kind, names=(f"KH_{day}.xml",))
        assert done.state is not State.HELD
        names[day] = done.deliveryId
    again = desk.hand_in(sent[arrival[0]][1], kind=sent[arrival[0]][0], names=("again.xml",))
    assert again.state is State.DUPLICATE
    served = desk.served()
    words = {number: record["markVerbalElements"][0]["text"] for number, record in served.items()}
    assert words == {ONE: "GOOD", TWO: "MENDED"}
    assert replayed(desk) == {record["recordId"] for record in served.values()}
    assert [deliveries.get(names[day]).receipt for day in sorted(sent)] == [
        Receipt(recordsRead=2, accepted=2, inserted=2),
        Receipt(recordsRead=2, accepted=2, inserted=1, updated=1),
        Receipt(recordsRead=2, held=1, unchanged=1, vanished=1),
    ]
    assert desk.hub.ledger.audit.verify() is None


@pytest.mark.parametrize("arrival", list(permutations([None, 2, 10])))
def test_what_is_numbered_within_a_day_ends_alike_in_any_order(
    arrival: tuple[int | None, ...], desk: Any, ipas: Any
) -> None:
    sent = {
        None: (FULL, ipas.marks(ipas.mark(ONE, "DAY"), ipas.mark(TWO, "DAY"))),
        2: (FULL, ipas.marks(ipas.mark(ONE, "SECOND"), ipas.mark(THREE))),
        10: (UPDATE, ipas.marks(ipas.mark(ONE, "TENTH"))),
    }
    made = {}
    for number in arrival:
        kind, document = sent[number]
        name = "KH20261101.xml" if number is None else f"KH20261101_{number:03d}.xml"
        made[number] = desk.deliver(document, kind=kind, names=(name,))
        assert made[number].officeSequence == number
    served = desk.served()
    assert set(served) == {ONE, THREE}
    assert served[ONE]["markVerbalElements"][0]["text"] == "TENTH"
    receipts = [desk.hub.ledger.deliveries.get(made[n].deliveryId).receipt for n in sent]
    assert receipts == [
        Receipt(recordsRead=2, accepted=2, inserted=2),
        Receipt(recordsRead=2, accepted=2, inserted=1, updated=1, vanished=1),
        Receipt(recordsRead=1, accepted=1, updated=1),
    ]


def test_a_correction_under_the_same_file_name_is_a_delivery_of_its_own(
    desk: Any, ipas: Any
) -> None:
    for word in ("WRONG", "RIGHT"):
        desk.deliver(ipas.marks(ipas.mark(ONE, word)), names=("KH_20261101.xml",))
    assert desk.served()[ONE]["markVerbalElements"][0]["text"] == "RIGHT"
