"""One mistake is one finding: what cannot be read is not called missing as well."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors.checking import check, collect_findings
from connectors.staging.stage import StagedFile
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"
DOMESTIC = (FIXTURES / "kh/trademarks/domestic.xml").read_text("utf-8")
PATENT = (FIXTURES / "th/patents/single.xml").read_text("utf-8")
DESIGN = (FIXTURES / "kh/designs/full_2026-09.xml").read_text("utf-8")
NO_IMAGE = "ALL.PKG.011"  # the fixture's image is not beside it
NAMES = "<ApplicantDetails>"
PRIORITY = "<Priority><PriorityCountryCode>SG</PriorityCountryCode>{}</Priority>"
BAD_DATE = "<PriorityNumber>1</PriorityNumber><PriorityDate>2019-03-41</PriorityDate>"


def codes(
    tmp_path: Path, text: str, office: str = "KH", right: Right = Right.TRADEMARKS
) -> list[str]:
    path = tmp_path / "a.xml"
    path.write_text(text, "utf-8")
    file = StagedFile("a.xml", hashlib.sha256(path.read_bytes()).hexdigest(), path)
    at = datetime(2026, 10, 1, tzinfo=UTC)
    checked = check(office, right, [file], tmp_path / "staging", at=at)
    collect_findings(checked, tmp_path / "found.parquet")
    found = pq.read_table(tmp_path / "found.parquet")["ruleCode"].to_pylist()
    return sorted(code for code in found if code != NO_IMAGE)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("<ApplicationDate>2019-05-02", "<ApplicationDate>2019-05-42", ["ALL.CNF.002"]),
        ("<ApplicationDate>2019-05-02", "<ApplicationDate>-", ["ALL.CMP.016"]),
        ("<PublicationDate>2019-07-26", "<PublicationDate>2562-07-26", ["ALL.CNF.003"]),
        ("<ClassNumber>30", "<ClassNumber>46", ["TM.CNF.001"]),
        ("<MarkFeature>Combined", "<MarkFeature>-", ["ALL.CMP.016"]),
        # Graver: it keeps the record from third parties, or is an error.
        (">Registered</wo:MarkCurrent", ">-</wo:MarkCurrent", ["ALL.CMP.003", "ALL.CMP.016"]),
        ("<AddressCountryCode>KH", "<AddressCountryCode>QQ", ["ALL.CMP.006", "ALL.CNF.004"]),
        # It knows the date, from the event.
        ("<RegistrationDate>2020", "<RegistrationDate>20-20", ["ALL.CMP.010", "ALL.CNF.002"]),
        # Both know the same one.
        ("<RegistrationDate>2020", "<RegistrationDate>2563", ["ALL.CNF.003"]),
        # It says what stands for the number.
        (
            "<ApplicationNumber>KH/90001/2019",
            "<ApplicationNumber>-",
            ["ALL.CMP.016", "ALL.CMP.019"],
        ),
        # The number of another priority, which nobody wrote.
        (
            NAMES,
            f"<PriorityDetails>{PRIORITY.format(BAD_DATE)}</PriorityDetails>{NAMES}",
            ["ALL.CNF.002"],
        ),
        (
            NAMES,
            f"<PriorityDetails>{PRIORITY.format(BAD_DATE)}{PRIORITY.format('')}</PriorityDetails>{NAMES}",
            ["ALL.CMP.021", "ALL.CMP.022", "ALL.CNF.002"],
        ),
    ],
)
def test_what_cannot_be_read_is_not_told_as_missing(
    tmp_path: Path, right: str, wrong: str, told: list[str]
) -> None:
    assert right in DOMESTIC
    assert codes(tmp_path, DOMESTIC.replace(right, wrong, 1)) == told


PCT = """<pat:InternationalFilingData><com:ApplicationIdentification>
<com:ApplicationNumber><com:ApplicationNumberText>{}</com:ApplicationNumberText></com:ApplicationNumber>
<pat:FilingDate>{}</pat:FilingDate>
</com:ApplicationIdentification></pat:InternationalFilingData><pat:PatentClassificationBag>"""
INVENTORS = r"(?s)<pat:InventorBag>.*</pat:InventorBag>"
NAMELESS = (
    "<{0}><com:Contact><com:Name><com:EntityName>-</com:EntityName></com:Name></com:Contact></{0}>"
)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (r"C02F 1/\d+", "C02F", ["PT.CNF.001", "PT.CNF.001"]),
        ("2019-09-13", "13.09.2562", ["ALL.CNF.002"]),
        ("TH90001<", "-<", ["ALL.CMP.016"]),
        (
            INVENTORS,
            f"<pat:InventorBag>{NAMELESS.format('pat:Inventor')}</pat:InventorBag>",
            ["ALL.CMP.016"],
        ),
        (
            "<pat:PatentClassificationBag>",
            PCT.format("PCT/SG2018/050123", "2561-01-01"),
            ["ALL.CNF.003"],
        ),
        # What nobody wrote is told.
        (r"(?s)<pat:PatentClassificationBag>.*</pat:PatentClassificationBag>", "", ["PT.CMP.003"]),
        (INVENTORS, "", ["PT.CMP.005"]),
        ("<com:PublicationDate>2019-09-13</com:PublicationDate>", "", ["PT.CMP.006"]),
        ("<pat:PatentClassificationBag>", PCT.format("PCT/SG2018/050123", ""), ["PT.CMP.008"]),
    ],
)
def test_a_patents_values_that_cannot_be_read_are_not_told_as_missing(
    tmp_path: Path, right: str, wrong: str, told: list[str]
) -> None:
    text, changed = re.subn(right, wrong, PATENT)
    assert changed
    assert codes(tmp_path, text, "TH", Right.PATENTS) == told


def test_a_designer_whose_name_is_a_placeholder_is_not_told_as_missing(tmp_path: Path) -> None:
    bag = "<dgn:DesignerBag>{}</dgn:DesignerBag>"
    text = DESIGN.partition("</dgn:DesignApplication>")
    one = (
        re.sub("(?s)" + bag.format(".*"), bag.format(NAMELESS.format("dgn:Designer")), text[0])
        + text[1]
        + text[2].rpartition(text[1])[2]
    )
    assert codes(tmp_path, one, "KH", Right.DESIGNS) == ["ALL.CMP.016"]
    assert codes(
        tmp_path, one.replace("-</com:EntityName>", "</com:EntityName>"), "KH", Right.DESIGNS
    ) == ["DS.CMP.004"]


SINGLE_DESIGN = re.sub(
    "(?s)</dgn:DesignApplication>.*</dgn:DesignApplication>", "</dgn:DesignApplication>", DESIGN
)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("<com:RegistrationDate>2021", "<com:RegistrationDate>2564", ["ALL.CNF.003"]),
        ("<com:ExpiryDate>2036-02-02", "<com:ExpiryDate>-", ["ALL.CMP.016"]),
        ("<com:RegistrationNumber>KH90001D", "<com:RegistrationNumber>-", ["ALL.CMP.016"]),
        ("<com:ExpiryDate>2036-02-02</com:ExpiryDate>", "", ["ALL.CMP.011"]),
        (">ឈុតតែ<", "><", ["DS.CMP.001"]),
    ],
)
def test_what_cannot_be_read_of_the_only_design_is_not_told_of_the_record(
    tmp_path: Path, right: str, wrong: str, told: list[str]
) -> None:
    assert right in SINGLE_DESIGN
    text = SINGLE_DESIGN.replace(right, wrong, 1)
    assert codes(tmp_path, text, "KH", Right.DESIGNS) == told


SECRET = (
    "<dgn:PublicationDefermentIndicator>true</dgn:PublicationDefermentIndicator>"
    "<dgn:DefermentPeriod>{}</dgn:DefermentPeriod><dgn:DesignRepresentationBag>"
)


@pytest.mark.parametrize(
    ("months", "told"), [(99, ["DS.CNS.006"]), (12, ["DS.CMP.009"]), (0, ["DS.CMP.009"])]
)
def test_a_secret_design_is_not_asked_for_its_publication(
    tmp_path: Path, months: int, told: list[str]
) -> None:
    text = re.sub("(?s)<dgn:PublicationBag>.*?</dgn:PublicationBag>", "", SINGLE_DESIGN)
    text = text.replace("<dgn:DesignRepresentationBag>", SECRET.format(months), 1)
    assert codes(tmp_path, text, "KH", Right.DESIGNS) == told


def test_an_end_of_protection_in_the_future_is_told_once(tmp_path: Path) -> None:
    text = PATENT.replace('documentStatusText="Published"', 'documentStatusText="Withdrawn"')
    withdrawn = "<com:ApplicationWithdrawnDate>2031-01-05</com:ApplicationWithdrawnDate>"
    text = text.replace("</pat:BibliographicData>", f"{withdrawn}</pat:BibliographicData>", 1)
    assert codes(tmp_path, text, "TH", Right.PATENTS) == ["ALL.CNS.014"]


def test_a_later_version_without_the_value_is_told(tmp_path: Path) -> None:
    start, end = "<TransactionContentDetails>", "</TransactionContentDetails>"
    record = DOMESTIC[DOMESTIC.index(start) : DOMESTIC.index(end) + len(end)]
    unreadable = record.replace("<ExpiryDate>2029-05-02", "<ExpiryDate>2029-05-42")
    without = record.replace("<ExpiryDate>2029-05-02</ExpiryDate>", "")
    found = codes(tmp_path, DOMESTIC.replace(record, f"{unreadable}\n{without}"))
    assert found == ["ALL.CMP.011", "ALL.CNF.002"]
