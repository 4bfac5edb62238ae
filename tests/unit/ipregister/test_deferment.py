"""Which designs are to stay secret, by what an ST.96 application says of it."""

from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from ipregister.mapping import mapping_for
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"
DESIGN = "{http://www.wipo.int/standards/XMLSchema/ST96/Design}"


@pytest.mark.parametrize(
    ("sealed", "of_designs", "is_deferred"),
    [
        (None, ["false", "true"], True),
        (None, ["true", "false"], True),
        ("true", ["false", "false"], True),
        ("false", ["0", "1"], True),
        (None, ["No", "Yes"], True),
        ("false", ["false", "0"], False),
    ],
)
def test_one_design_that_stays_secret_defers_the_application(
    sealed: str | None, of_designs: list[str], is_deferred: bool
) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    bag = next(root.iter("{*}DesignBag"))
    bag.append(etree.fromstring(etree.tostring(bag[0])))
    for inner, said in zip(bag, of_designs, strict=True):
        told = etree.Element(f"{DESIGN}PublicationDefermentIndicator")
        told.text = said
        inner.insert(0, told)
    if sealed:
        told = etree.Element(f"{DESIGN}SealedDepositIndicator")
        told.text = sealed
        root.insert(0, told)
    mapped = mapping_for("VN", Right.DESIGNS).apply(root, {}, {})
    assert (mapped.row["defermentRequested"], mapped.issues) == (is_deferred, [])


@pytest.mark.parametrize("first", ["false", "No"])
def test_a_word_for_deferment_that_cannot_be_read_keeps_the_design_secret(first: str) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    for name, said in (("PublicationDefermentIndicator", "Ya"), ("SealedDepositIndicator", first)):
        told = etree.Element(f"{DESIGN}{name}")
        told.text = said
        (next(root.iter("{*}Design")) if said == "Ya" else root).insert(0, told)
    mapped = mapping_for("VN", Right.DESIGNS).apply(root, {}, {})
    assert mapped.row["defermentRequested"] is True
    (issue,) = mapped.issues
    assert (issue.code, issue.value) == ("ALL.CNF.013", "Ya")


def test_each_design_keeps_its_own_publication_and_deferment() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    bag = next(root.iter("{*}DesignBag"))
    for told in [*bag.iter("{*}PublicationBag"), *bag.iter("{*}DefermentPeriod")]:
        told.getparent().remove(told)
    bag.append(etree.fromstring(etree.tostring(bag[0])))
    for inner, months in zip(bag, ("12", "30"), strict=True):
        etree.SubElement(inner, f"{DESIGN}DefermentPeriod").text = months
    publications = etree.SubElement(bag[0], f"{DESIGN}PublicationBag")
    for day in ("2024-05-02", "2025-05-02"):
        publication = etree.SubElement(publications, f"{DESIGN}Publication")
        etree.SubElement(publication, f"{DESIGN}PublicationDate").text = day
    mapped = mapping_for("VN", Right.DESIGNS).apply(root, {}, {})
    first, second = mapped.row["designs"]
    assert (first["publicationDate"], first["defermentMonths"]) == (date(2024, 5, 2), 12)
    assert ("publicationDate" in second, second["defermentMonths"]) == (False, 30)
    assert [told["date"] for told in mapped.row["publications"]] == [
        date(2024, 5, 2),
        date(2025, 5, 2),
    ]
    assert (mapped.row["defermentMonths"], mapped.issues) == (12, [])


@pytest.mark.parametrize(
    ("text", "unit", "months", "issues"),
    [
        ("30", None, 30, []),
        ("30", "In month", 30, []),
        ("2", "In year", 24, []),
        ("5", "in  week", 2, []),
        ("900", "In day", 33, []),
        ("0", "In year", 0, []),
        ("2", "In decade", None, ["2 In decade"]),
        ("two", "In year", None, ["two"]),
        ("9" * 5000, "In year", None, ["9" * 5000]),
    ],
)
def test_a_period_of_deferment_has_a_unit(
    text: str, unit: str | None, months: int | None, issues: list[str]
) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    period = etree.SubElement(next(root.iter("{*}Design")), f"{DESIGN}DefermentPeriod")
    period.text = text
    if unit:
        common = "http://www.wipo.int/standards/XMLSchema/ST96/Common"
        period.set(f"{{{common}}}periodCategory", unit)
    mapped = mapping_for("VN", Right.DESIGNS).apply(root, {}, {})
    read = mapped.row.get("defermentMonths"), mapped.row["designs"][0].get("defermentMonths")
    assert read == (months, months)
    assert [(issue.code, issue.value) for issue in mapped.issues] == [
        ("ALL.CNF.013", each) for each in issues
    ]
