"""The version behind a symbol of the International Patent Classification is read with it."""

from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from ipregister.mapping import mapping_for
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"
IPC, OLD = "IPCRClassificationBag", "IPCClassification"


@pytest.mark.parametrize(
    ("bag", "inside", "version", "codes"),
    [
        (IPC, "<PatentClassificationText>C02F 1/28 (2023.01)</PatentClassificationText>",
         date(2023, 1, 1), []),
        (IPC, "<PatentClassificationSymbolText>C02F0001280000</PatentClassificationSymbolText>",
         None, []),
        (IPC, "<PatentClassificationText>C02F 1/28 (2006.01)</PatentClassificationText>"
              "<ClassificationVersionDate>20060101</ClassificationVersionDate>",
         date(2006, 1, 1), []),
        (IPC, "<ClassificationVersionDate>20060101</ClassificationVersionDate>"
              "<PatentClassificationText>C02F 1/28 (2009.01)</PatentClassificationText>",
         date(2006, 1, 1), ["ALL.CNF.018"]),
        (IPC, "<PatentClassificationText>C02F 1/28 (2006.13)</PatentClassificationText>",
         None, ["ALL.CNF.002"]),
        (OLD, "<MainClassification>C02F 1/28 (2006.01)</MainClassification>",
         date(2006, 1, 1), []),
    ],
)  # fmt: skip
def test_a_version_in_brackets_is_the_symbols(
    bag: str, inside: str, version: date | None, codes: list[str]
) -> None:
    root = etree.parse(FIXTURES / "th/patents/single.xml").getroot()
    if bag == IPC:
        inside = f"<IPCRClassification>{inside}</IPCRClassification>"
    classifications = next(root.iter("{*}PatentClassificationBag"))
    classifications[:] = [etree.fromstring(f"<{bag}>{inside}</{bag}>")]
    patent = mapping_for("TH", Right.PATENTS).apply(root, {}, {})
    [read] = patent.row["classifications"]
    assert (read["symbol"], read.get("versionDate")) == ("C02F 1/28", version)
    assert [issue.code for issue in patent.issues] == codes
