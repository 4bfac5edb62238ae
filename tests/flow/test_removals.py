"""Records an office deletes: by the standard's own word, in the order of the delivery."""

import json
from typing import Any

import pytest

from ipregister.authorizations import Grant
from ipregister.deliveries import Kind, Receipt, State
from ipregister.model import Disclosure, Right

FULL = Kind.FULL_EXTRACTION
ONE, TWO, THREE = (f"KH/9000{n}/2019" for n in range(1, 4))


def removal(ipas: Any, number: str, **more: str) -> str:
    """Return a record that says nothing but its number and that it is to be deleted."""
    office = more.get("office", "KH")
    return (
        f'<TradeMark operationCode="Delete"><RegistrationOfficeCode>{office}'
        f"</RegistrationOfficeCode><ApplicationNumber>{number}</ApplicationNumber></TradeMark>\n"
    )


def test_a_deleted_record_vanishes_and_third_parties_are_told(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), kind=FULL)
    everything = {("KH", Right.TRADEMARKS): Grant(frozenset(Disclosure))}
    marks = desk.hub.serving.changes(everything, None, 1_000).marks
    done = desk.deliver(ipas.marks(removal(ipas, ONE)))
    assert (done.state, done.findings) == (State.PUBLISHED, {})
    assert done.receipt == Receipt(recordsRead=1, accepted=1, vanished=1)
    assert set(desk.served()) == {TWO}
    (told,) = map(json.loads, desk.hub.serving.changes(everything, marks, 1_000).items)
    assert (told["changeType"], told["cause"]) == ("delete", "source")


def test_one_archive_updates_deletes_and_creates_again_in_its_own_order(
    desk: Any, ipas: Any
) -> None:
    desk.deliver(ipas.marks(ipas.mark(ONE, "OLD"), ipas.mark(TWO)), kind=FULL)
    members = {
        "1.xml": ipas.marks(ipas.mark(ONE, "CHANGED"), ipas.mark(TWO, "CHANGED")),
        "2.xml": ipas.marks(removal(ipas, ONE), ipas.mark(THREE, "NEW")),
        "3.xml": ipas.marks(ipas.mark(ONE, "AGAIN"), removal(ipas, TWO), removal(ipas, THREE)),
    }
    done = desk.deliver(ipas.zipped(members))
    # The last word on each counts: ONE is there, TWO is gone, THREE never was.
    assert done.receipt == Receipt(
        recordsRead=7, accepted=2, unchanged=1, duplicates=4, updated=1, vanished=1
    )
    served = desk.served()
    assert set(served) == {ONE}
    assert served[ONE]["markVerbalElements"][0]["text"] == "AGAIN"


def test_the_deletion_of_an_unknown_record_is_a_warning(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark(ONE)), kind=FULL)
    done = desk.deliver(ipas.marks(removal(ipas, TWO)))
    assert done.receipt == Receipt(recordsRead=1, unchanged=1)
    assert done.state is State.PUBLISHED_WITH_FINDINGS
    found = desk.found(done, "ALL.CNS.020")
    assert (found["severity"], found["applicationNumber"], found["line"]) == ("warning", TWO, 2)


def test_nobody_deletes_another_offices_record(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), kind=FULL)
    done = desk.deliver(ipas.marks(removal(ipas, ONE, office="VN"), ipas.mark(THREE)))
    assert done.receipt == Receipt(recordsRead=2, accepted=1, held=1, inserted=1)
    assert set(desk.served()) == {ONE, TWO, THREE}
    assert done.reason == "1 record stays held: it has a critical finding."


def test_a_deletion_that_comes_before_its_record_deletes_it(desk: Any, ipas: Any) -> None:
    early = desk.deliver(ipas.marks(removal(ipas, ONE)), names=("KH_20261120.xml",))
    assert early.receipt == Receipt(recordsRead=1, unchanged=1)
    late = desk.deliver(ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), names=("KH_20261101.xml",))
    assert late.receipt == Receipt(recordsRead=2, accepted=2, inserted=2)
    assert set(desk.served()) == {TWO}
    amended = desk.hub.ledger.deliveries.get(early.deliveryId)
    assert amended.receipt == Receipt(recordsRead=1, accepted=1, vanished=1)
    # What was told of it stays told: its findings, and the state that says whether there are any.
    assert (amended.state, amended.findings) == (State.PUBLISHED_WITH_FINDINGS, {"warning": 1})
    assert desk.found(amended, "ALL.CNS.020")["applicationNumber"] == ONE


@pytest.mark.parametrize(
    ("word", "told"), [("Insert", []), ("update", []), ("Remove", ["Remove"]), ("D", ["D"])]
)
def test_other_words_delete_nothing_and_those_of_no_standard_are_told(
    word: str, told: list[str], desk: Any, ipas: Any
) -> None:
    record = ipas.mark(ONE).replace("<TradeMark>", f'<TradeMark operationCode="{word}">')
    done = desk.deliver(ipas.marks(record))
    assert done.receipt.inserted == 1
    found = [each for each in desk.findings(done) if each["ruleCode"] == "ALL.CNF.019"]
    assert [each["value"] for each in found] == told


@pytest.mark.parametrize(("word", "told"), [("Insert", []), ("Delete", ["Delete"]), ("D", ["D"])])
def test_a_person_to_be_deleted_is_kept_and_told(
    word: str, told: list[str], desk: Any, ipas: Any
) -> None:
    record = ipas.mark(ONE).replace("<Applicant>", f'<Applicant operationCode="{word}">')
    done = desk.deliver(ipas.marks(record))
    assert len(desk.served()[ONE]["applicants"]) == 1
    found = [each for each in desk.findings(done) if each["ruleCode"] == "ALL.CNF.020"]
    assert [each["value"] for each in found] == told
    for each in found:
        assert (each["field"], each["applicationNumber"]) == ("applicants", ONE)
        assert each["elementPath"].endswith("/Applicant[1]/@operationCode")
