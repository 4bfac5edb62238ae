"""A finding leads to the very element of the office's file that is wrong: path, line and value."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iphub.cli import app

FIXTURES = Path(__file__).parents[1] / "fixtures"
PATENT, DESIGN = FIXTURES / "th/patents/single.xml", FIXTURES / "vn/designs/single.xml"
MARK = FIXTURES / "kh/trademarks/domestic.xml"
VIEW = "ATTACHMENT/view_1_2"
END_OF_TITLE = "</dgn:DesignTitleText>\n"
SECOND_TITLE = f'{END_OF_TITLE}<dgn:DesignTitleText com:languageCode="fr">ThÃ©{END_OF_TITLE}'

FILED_AGAIN = (
    "<dgn:DesignApplicationEvent>"
    "<dgn:DesignApplicationEventCategory>Filed</dgn:DesignApplicationEventCategory>"
    "<dgn:DesignApplicationEventDate>2021-02-02</dgn:DesignApplicationEventDate>"
    "</dgn:DesignApplicationEvent>"
)


def found(directory: Path, source: Path, *changes: tuple[str, str]) -> list[dict[str, Any]]:
    """Check a fixture in which words were replaced; findings have the ``text`` of their line."""
    text = source.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    file = directory / "changed.xml"
    file.write_text(text)
    office, right = source.parts[-3].upper(), source.parts[-2]
    asked = ["validate", str(file), "--office", office, "--right", right, "--format", "json"]
    items: list[dict[str, Any]] = json.loads(CliRunner().invoke(app, asked).stdout)["items"]
    return [item | {"text": text.splitlines()[item["line"] - 1]} for item in items if item["line"]]


@pytest.mark.parametrize(
    ("code", "source", "before", "after", "path"),
    [
        ("ALL.CNF.008", PATENT, "Velfenn", "CafÃ©", "Applicant[1]/Contact/Name/EntityName"),
        ("ALL.CNF.009", PATENT, "Velfenn", "Vel\u200bfenn", "Applicant[1]/Contact/Name/EntityName"),
        ("ALL.CNF.010", PATENT, "Velfenn", "V &amp;amp; F", "Applicant[1]/Contact/Name/EntityName"),
        ("ALL.CNF.011", PATENT, "Velfenn", "Vel" * 140, "Applicant[1]/Contact/Name/EntityName"),
        ("PT.CNF.004", PATENT, "Household water filter with rice husk carbon", "HOUSEHOLD FILTER",
         "InventionTitleBag/InventionTitle"),
        ("PT.CNF.008", PATENT, "KindCode>A<", "KindCode>a1<",
         "PatentPublicationIdentification[1]/PatentDocumentKindCode"),
        ("DS.CNF.003", DESIGN, f"{VIEW}.png", f"{VIEW}.docx", "ViewBag/View[2]/FileName"),
        ("DS.CNF.004", DESIGN, END_OF_TITLE, SECOND_TITLE, "Design[1]/DesignTitleText"),
    ],
)  # fmt: skip
def test_of_several_texts_or_items_it_is_the_wrong_one(
    tmp_path: Path, code: str, source: Path, before: str, after: str, path: str
) -> None:
    (finding,) = [
        each for each in found(tmp_path, source, (before, after)) if each["ruleCode"] == code
    ]
    assert finding["elementPath"].endswith(path)
    wrong = after.splitlines()[-1].replace("&amp;amp;", "&amp;")
    assert finding["text"].replace("&amp;amp;", "&amp;").count(wrong) == 1
    assert finding["value"][:20] in finding["text"].replace("&amp;amp;", "&amp;")
    assert finding["value"][:20] in finding["message"]


def test_the_language_of_the_name_that_has_the_wrong_one_is_told(tmp_path: Path) -> None:
    findings = found(tmp_path, PATENT, ("Velfenn Co., Ltd.", "ບໍລິສັດ"))
    (finding,) = [each for each in findings if each["ruleCode"] == "ALL.CNS.012"]
    assert (finding["value"], finding["suggestedValue"]) == ("en", "lo")
    assert "ບໍລິສັດ" in finding["text"]


@pytest.mark.parametrize(
    ("code", "source", "before", "after"),
    [
        ("ALL.CNF.002", PATENT, "<pat:FilingDate>2018-03-02", "<pat:FilingDate>31/12/2018"),
        ("ALL.CNF.003", DESIGN, "<com:ExpiryDate>2036", "<com:ExpiryDate>2579"),
        ("ALL.CNF.006", DESIGN, "Category>Registered", "Category>Zebra"),
    ],
)
def test_what_is_wrong_with_an_element_is_told_once(
    tmp_path: Path, code: str, source: Path, before: str, after: str
) -> None:
    found_here = found(tmp_path, source, (before, after))
    assert [each["ruleCode"] for each in found_here].count(code) == 1


@pytest.mark.parametrize(
    ("source", "before", "after", "path"),
    [
        (PATENT, "<pat:ClaimTotal",
         "<pat:PatentRevocationDate>2091-01-05</pat:PatentRevocationDate><pat:ClaimTotal",
         "BibliographicData/PatentRevocationDate"),
        (DESIGN, "DesignEventDate>2021", "DesignEventDate>2091",
         "DesignEventBag/DesignEvent/DesignEventDate"),
        (DESIGN, "ApplicationEventDate>2021-02", "ApplicationEventDate>2091-02",
         "DesignApplication/DesignApplicationEventBag/DesignApplicationEvent/DesignApplicationEventDate"),
    ],
)  # fmt: skip
def test_an_event_stands_in_the_element_that_tells_it(
    tmp_path: Path, source: Path, before: str, after: str, path: str
) -> None:
    findings = found(tmp_path, source, (before, after))
    (finding,) = [each for each in findings if each["ruleCode"] == "ALL.CNS.014"]
    assert finding["elementPath"].endswith(path)
    assert after in finding["text"]


@pytest.mark.parametrize(
    ("code", "source", "changes", "path"),
    [
        ("ALL.CMP.006", MARK,
         [("<Applicant>", "<Applicant/><Applicant><Name/></Applicant><Applicant>"),
          ("<AddressCountryCode>KH</AddressCountryCode>\n", "\n")], "/Applicant[3]/"),
        ("ALL.CMP.006", PATENT, [("<pat:Applicant>", "<pat:Applicant/><pat:Applicant>"),
         ("<com:CountryCode>TH</com:CountryCode>", "")], "/Applicant[2]/"),
        ("DS.CNF.004", DESIGN, [("<dgn:Design>", "<dgn:Design/><dgn:Design>"), (">Dép<", ">DÃ©p<")],
         "/Design[2]/DesignTitleText"),
        ("DS.CNF.003", DESIGN, [("<dgn:Design>", "<dgn:Design/><dgn:Design>"),
         ("<dgn:View>", "<dgn:View/><dgn:View/><dgn:View>"), (f"{VIEW}.png", f"{VIEW}.docx")],
         "/Design[2]/DesignRepresentationBag/DesignRepresentation/ViewBag/View[4]/FileName"),
        ("ALL.PKG.011", MARK, [("<MarkImage>", "<MarkImage/><MarkImage>")], "/MarkImage[2]/"),
        ("ALL.CNS.018", MARK, [("<Applicant>", "<Applicant/><Applicant>"),
         ('languageCode="km">ក្រុម', 'languageCode="en">ក្រុម')], "/Applicant[2]/"),
    ],
)  # fmt: skip
def test_an_empty_element_is_counted_before_the_wrong_one(
    tmp_path: Path, code: str, source: Path, changes: list[tuple[str, str]], path: str
) -> None:
    (finding,) = [each for each in found(tmp_path, source, *changes) if each["ruleCode"] == code]
    assert path in finding["elementPath"]


def test_of_two_values_the_one_that_is_shown_was_not_taken(tmp_path: Path) -> None:
    date = "<ExpiryDate>2029-05-0{}</ExpiryDate>\n".format
    findings = found(tmp_path, MARK, (date(2), date(3) + date(2)))
    (finding,) = [each for each in findings if each["ruleCode"] == "ALL.CNF.018"]
    assert finding["text"].strip() == date(2).strip()
    assert finding["message"].endswith("was not taken: “2029-05-02”.")


@pytest.mark.parametrize(
    ("code", "source", "changes", "path", "text"),
    [
        ("ALL.CNF.008", PATENT,
         [('<com:EntityName com:languageCode="en">Velfenn Co., Ltd.</com:EntityName>',
           "<com:OrganizationName>\n<com:OrganizationStandardName>CafÃ©"
           "</com:OrganizationStandardName>\n</com:OrganizationName>")],
         "Applicant[1]/Contact/Name/OrganizationName/OrganizationStandardName", "CafÃ©"),
        ("ALL.CNS.018", PATENT,
         [("ดาราวสันต์ กานต์นที", "One</com:PersonFullName>\n<com:PersonFullName>Two")],
         "Inventor[1]/Contact/Name/PersonName/PersonFullName", "One"),
        ("ALL.CNS.015", DESIGN,
         [("<dgn:DesignEvent>", ""), ("</dgn:DesignEvent>", ""),
          ("<dgn:DesignEventDate>2021-11-29</dgn:DesignEventDate>", ""),
          ("<dgn:DesignEventCategory>Registered</dgn:DesignEventCategory>", ""),
          ("</dgn:DesignApplicationEvent>\n", f"</dgn:DesignApplicationEvent>\n{FILED_AGAIN}\n")],
         "DesignApplication/DesignApplicationEventBag/DesignApplicationEvent",
         "<dgn:DesignApplicationEvent>"),
    ],
)  # fmt: skip
def test_of_elements_that_may_fill_a_field_it_is_the_one_that_did(
    tmp_path: Path, code: str, source: Path, changes: list[tuple[str, str]], path: str, text: str
) -> None:
    (finding,) = [each for each in found(tmp_path, source, *changes) if each["ruleCode"] == code]
    assert finding["elementPath"].endswith(path)
    assert text in finding["text"]


def test_a_suggestion_is_not_made_that_would_leave_something_wrong(tmp_path: Path) -> None:
    changes = [
        ("Velfenn", "V &amp;amp;amp; F"),
        ("ห้างหุ้นส่วนจำกัด ทองสายธาร", "ក្រុម ບໍລິສັດ"),
    ]
    findings = {each["ruleCode"]: each for each in found(tmp_path, PATENT, *changes)}
    for code in ("ALL.CNF.010", "ALL.CNS.012"):
        assert findings[code]["suggestedValue"] is None


@pytest.mark.parametrize(
    ("event", "suggested"),
    [("2021-11-30", "2021-11-30"), ("2091-11-30", None), ("2020-11-30", None)],
)
def test_a_date_is_suggested_only_where_it_may_be_right(
    tmp_path: Path, event: str, suggested: str | None
) -> None:
    changes = [
        ("<com:RegistrationDate>2021-11-29</com:RegistrationDate>", ""),
        ("<dgn:DesignEventDate>2021-11-29", f"<dgn:DesignEventDate>{event}"),
    ]
    (finding,) = [
        each for each in found(tmp_path, DESIGN, *changes) if each["ruleCode"] == "ALL.CMP.010"
    ]
    assert finding["suggestedValue"] == suggested
