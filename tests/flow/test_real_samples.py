"""Real exports of WIPO's IPAS: every record loads, its known oddities become findings.

The samples are not ours to copy; where they are not beside the repository, ``conftest.py``
leaves this file out: there is nothing a bare machine could install to run it.
"""

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.exports.st96 import HUB, XmlEncoder
from ipregister.deliveries import Kind, State
from ipregister.model import Right

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "real" / "st66-ipas"


def records_in(sample: str) -> int:
    return (SAMPLES / sample).read_text("utf-8").count("</TradeMark>")


@pytest.mark.parametrize(("office", "sample"), [("KH", "kh_khtm.xml"), ("MY", "my_mytm.xml")])
def test_not_a_record_is_lost(office: str, sample: str, desk: Any) -> None:
    content = (SAMPLES / sample).read_bytes()
    done = desk.deliver(content, office=office, kind=Kind.FULL_EXTRACTION, names=(sample,))
    assert done.state in (State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS)
    assert done.receipt.recordsRead == records_in(sample) > 0
    assert done.receipt.accepted == done.receipt.inserted == done.receipt.recordsRead
    served = desk.served(office)
    assert len(served) == records_in(sample)
    for record in served.values():
        assert {
            "applicationNumber",
            "applicationDate",
            "goodsServices",
            "applicants",
            "status",
        } <= (record.keys())
    assert "ALL.PKG.015" not in {f["ruleCode"] for f in desk.findings(done)}  # nothing unknown


def test_malaysias_registration_before_filing_is_told(desk: Any) -> None:
    done = desk.deliver((SAMPLES / "my_mytm.xml").read_bytes(), office="MY")
    found = Counter(f["ruleCode"] for f in desk.findings(done))
    assert found["ALL.CNS.001"] >= 1


@pytest.mark.parametrize("sample", ["to_test.xml", "pg_pgtm.xml", "mg_test.xml"])
def test_another_offices_records_are_held_and_not_lost(sample: str, desk: Any) -> None:
    content = (SAMPLES / sample).read_bytes()
    done = desk.deliver(content, office="KH", names=(sample,))
    wrong = [f for f in desk.findings(done) if f["ruleCode"] == "ALL.PKG.008"]
    assert done.receipt.recordsRead == done.receipt.held == records_in(sample) > 0
    assert done.state is State.HELD
    assert len(wrong) == records_in(sample)
    assert {f["value"] for f in wrong} == {sample[:2].upper()}
    assert desk.served() == {}


def test_all_of_them_in_one_archive_end_each_where_it_belongs(desk: Any, tmp_path: Path) -> None:
    names = sorted(path.name for path in SAMPLES.glob("*.xml"))
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(SAMPLES / name, f"20261122/{name}")
    done = desk.deliver((tmp_path / "all.zip").read_bytes(), office="KH")
    expected = sum(records_in(name) for name in names)
    assert done.receipt.recordsRead == expected
    assert done.receipt.accepted == records_in("kh_khtm.xml") == len(desk.served())
    assert done.receipt.rejected == 0


SCHEMA = SAMPLES.parent / "schemas" / "st96-v6_0-flattened" / "TrademarkTransaction_V6_0.xsd"
NOT_AS_ST96 = {
    "ST13ApplicationNumber",  # with the office's code in front, as ST.13 has it
    "MarkCategory",  # the register's words
    "MarkFeatureCategory",
    "MarkEventCategory",
    "MarkEventDescriptionText",  # says its language
}
"""Elements of which some values do not validate, and why."""


@pytest.mark.parametrize("right", Right)
def test_no_document_of_any_dialect_passes_for_an_empty_one(right: Right, desk: Any) -> None:
    files = {path.name: path.read_bytes() for path in sorted(SAMPLES.parent.rglob("*.xml"))}
    done = desk.deliver(*files.values(), names=tuple(files), right=right)
    assert len(files) <= done.receipt.recordsRead
    assert {finding["file"] for finding in desk.findings(done)} >= set(files)


def test_elements_of_st96_hold_what_st96_allows_but_for_those_named(desk: Any) -> None:
    bodies: list[bytes] = []
    for office, sample in (("KH", "kh_khtm.xml"), ("MY", "my_mytm.xml")):
        content = (SAMPLES / sample).read_bytes()
        desk.deliver(content, office=office, kind=Kind.FULL_EXTRACTION, names=(sample,))
        bodies += desk.served_bytes(office).values()
    made = XmlEncoder(Right.TRADEMARKS)
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    valid, not_valid = set(), set()
    for element in etree.fromstring(made.encode(bodies) + made.finish()).iter():
        name = etree.QName(element)
        if len(element) == 0 and name.namespace != HUB:
            alone = etree.fromstring(etree.tostring(element, with_tail=False))
            (valid if schema.validate(alone) else not_valid).add(name.localname)
    assert not_valid <= NOT_AS_ST96
    assert len(valid) > 20
