"""Applicants that stand with single designs of an application are applicants of the record."""

from pathlib import Path

import pytest
from lxml import etree

from ipregister.levels import OPENER
from ipregister.mapping import mapping_for
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"
OTHER = "<Applicant><Contact><Name><EntityName>Another</EntityName></Name></Contact></Applicant>"


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("order", ["designs first", "applicants first"])
def test_applicants_of_designs_are_the_records_once(own: bool, order: str) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    mapping = mapping_for("VN", Right.DESIGNS)
    designs = next(root.iter("{*}DesignBag"))
    for bag in designs.findall(".//{*}ApplicantBag"):
        bag.getparent().remove(bag)
    alone = mapping.apply(root, {}, {}).row["applicants"]
    bag = next(root.iter("{*}ApplicantBag"))
    for _ in range(2):
        designs[0].append(etree.fromstring(etree.tostring(bag)))
        designs.append(etree.fromstring(etree.tostring(designs[0])))
        designs[0].remove(designs[0][-1])
    if own:
        designs[1].find("{*}ApplicantBag").append(etree.fromstring(OTHER))
    if order == "designs first":
        root.append(bag)
    else:
        root.insert(0, bag)
    unknown: dict = {}
    mapped = mapping.apply(root, {}, unknown)
    assert unknown == {}
    told = sorted(mapped.row["applicants"], key=str)
    assert told == sorted([*alone, *([{"names": [{"text": "Another"}]}] if own else [])], key=str)


def test_an_applicant_of_a_design_with_another_address_is_not_lost() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    mapping = mapping_for("VN", Right.DESIGNS)
    [before] = mapping.apply(root, {}, {}).row["applicants"]
    design = next(root.iter("{*}Design"))
    for _ in range(2):
        design.append(etree.fromstring(etree.tostring(root.find("{*}ApplicantBag"))))
        for country in design[-1].iter("{*}CountryCode"):
            country.text = "LA"
    design.append(etree.fromstring(etree.tostring(design[-1])))
    for contact in list(design[-1].iter("{*}PostalAddressBag")):
        contact.getparent().remove(contact)
    read = mapping.apply(root, {}, {}).row["applicants"]
    assert read == [before, before | {"countryCode": "LA"}]


def test_applicants_may_stand_with_the_designs_alone() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    mapping = mapping_for("VN", Right.DESIGNS)
    before = mapping.apply(root, {}, {}).row["applicants"]
    design = next(root.iter("{*}Design"))
    for bag in design.findall("{*}ApplicantBag"):
        design.remove(bag)
    design.append(next(root.iter("{*}ApplicantBag")))
    assert root.findall("{*}ApplicantBag") == []
    assert mapping.apply(root, {}, {}).row["applicants"] == before


def test_what_is_wrong_with_a_designs_own_applicant_stands_where_it_is() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    mapping = mapping_for("VN", Right.DESIGNS)
    design = next(root.iter("{*}Design"))
    applicant = etree.fromstring(OTHER)
    etree.SubElement(applicant, "NationalityCode").text = "ZZ9"
    etree.SubElement(design, "ApplicantBag").append(applicant)
    mapped = mapping.apply(root, {}, {})
    [issue] = mapped.issues
    below = "DesignApplication/DesignBag/Design"
    assert issue.source == f"{below}[1]/ApplicantBag/Applicant[1]/NationalityCode"
    assert issue.field == "applicants[1].nationalityCode"
    opener = mapped.lines["applicants"][-1][OPENER]
    path = mapping.element_path("applicants[1].countryCode", opener)
    assert path == (
        f"{below}/ApplicantBag/Applicant/Contact/PostalAddressBag/PostalAddress/"
        "PostalStructuredAddress/CountryCode"
    )
    assert mapping.element_path("applicants[0].names") == (
        "DesignApplication/ApplicantBag/Applicant[1]/Contact/Name/EntityName"
    )


def test_applicants_without_a_name_are_not_the_same() -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    one = (
        "<ApplicantBag><Applicant><PartyIdentifier>{}</PartyIdentifier></Applicant></ApplicantBag>"
    )
    root.append(etree.fromstring(one.format("1")))
    next(root.iter("{*}Design")).append(etree.fromstring(one.format("2")))
    read = mapping_for("VN", Right.DESIGNS).apply(root, {}, {}).row["applicants"]
    assert read[1:] == [{"identifier": "1"}, {"identifier": "2"}]


@pytest.mark.parametrize("role", ["Applicant", "Representative"])
def test_several_parties_in_one_are_told_where_they_are(role: str) -> None:
    root = etree.parse(FIXTURES / "vn/designs/single.xml").getroot()
    name = "<EntityName>{}</EntityName>".format
    names = f"<Contact><Name>{name('One')}{name('Two')}</Name></Contact>"
    bag = f"<{role}Bag><{role}>{names}</{role}></{role}Bag>"
    next(root.iter("{*}Design")).append(etree.fromstring(bag))
    [issue] = mapping_for("VN", Right.DESIGNS).apply(root, {}, {}).issues
    assert (issue.code, issue.value) == ("ALL.CNS.018", "One / Two")
    place = f"DesignApplication/DesignBag/Design/{role}Bag/{role}"
    assert issue.source == f"{place}/Contact/Name/EntityName"
