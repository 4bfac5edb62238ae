"""How an application reached the office, by what an ST.96 document has of other procedures."""

from pathlib import Path

import pytest
from lxml import etree

from ipregister.mapping import mapping_for
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("number", "filed", "published", "route"),
    [
        ("PCT/SG2018/050123", "", "", "pct"),
        ("pct/sg2018/050123", "", "", "pct"),
        ("SG2018050123", "", "", "pct"),
        ("-", "2018-03-01", "", "pct"),
        ("", "2018-03-01", "", "pct"),
        ("", "", "WO 2018/123456", "pct"),
        ("", "", "", "national"),
    ],
)
def test_a_patent_with_anything_of_the_pct_came_by_it(
    number: str, filed: str, published: str, route: str
) -> None:
    text = (FIXTURES / "th/patents/single.xml").read_text("utf-8")
    pct = f"""<InternationalFilingData><ApplicationIdentification>
        <ApplicationNumber><ApplicationNumberText>{number}</ApplicationNumberText></ApplicationNumber>
        <FilingDate>{filed}</FilingDate></ApplicationIdentification></InternationalFilingData>
        <InternationalPublishingData><PatentDocumentIdentification>
        <PatentPublicationIdentification><PublicationNumber>{published}</PublicationNumber>
        </PatentPublicationIdentification></PatentDocumentIdentification>
        </InternationalPublishingData><pat:PatentClassificationBag>"""
    root = etree.fromstring(text.replace("<pat:PatentClassificationBag>", pct).encode())
    row = mapping_for("TH", Right.PATENTS).apply(root, {}, {}).row
    assert row["filingRoute"] == route


@pytest.mark.parametrize(
    ("number", "route"),
    [("DM/200123", "hague"), ("dm 200123", "hague"), ("200123", "hague"), ("", "national")],
)
def test_a_design_with_an_international_registration_came_by_hague(number: str, route: str) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    told = etree.SubElement(root, "InternationalRegistrationNumber")
    told.text = number
    assert mapping_for("VN", Right.DESIGNS).apply(root, {}, {}).row["filingRoute"] == route
