"""An office's report as data, sheets and by command; as a page it is ``test_report_pages``."""

import csv
import json
import re
import runpy
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree
from typer.testing import CliRunner

from connectors.reports.documents import write_json
from connectors.reports.findings import FindingsFile
from connectors.reports.pages import write_html
from connectors.reports.sources import ReportSource
from connectors.reports.tables import write_csv, write_xlsx
from connectors.schema import FINDINGS
from iphub.cli import app
from ipregister.errors import StoreError
from ipregister.report_words import receipt_sum

world: Any = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("report_world.py"))))
home, source = world.home, world.source


@pytest.fixture
def stored(source: ReportSource) -> list[dict[str, Any]]:
    """The findings as they are stored."""
    return [row for file in source.findings.values() for row in file.all()]


def trademarks(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in document["items"] if item["right"] == "trademarks"]


# --- JSON ------------------------------------------------------------------------------------


def as_json(source: ReportSource, path: Path) -> dict[str, Any]:
    write_json(source, path)
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def test_json_loses_nothing(
    source: ReportSource, stored: list[dict[str, Any]], tmp_path: Path
) -> None:
    document = as_json(source, tmp_path / "report.json")
    full = [item for item in document["items"] if item["full"]]
    assert [finding for item in full for finding in item["items"]] == stored
    assert len(stored) == sum(world.COUNTS.values())
    assert {tuple(finding) for finding in stored} == {tuple(FINDINGS.names)}


def test_the_last_ten_deliveries_come_newest_first_and_the_latest_checked_one_in_full(
    source: ReportSource, tmp_path: Path
) -> None:
    items = trademarks(as_json(source, tmp_path / "report.json"))
    received = [item["receivedAt"] for item in items]
    assert len(items) == 10
    assert received == sorted(received, reverse=True)
    assert [item["state"] for item in items[:3]] == [
        "duplicate", "published_with_findings", "published",
    ]  # fmt: skip
    assert [item["full"] for item in items] == [False, True] + [False] * 8
    assert items[0]["reason"].startswith("same content as delivery KH-")


def test_the_full_delivery_has_its_sum_rules_scores_and_vocabulary(
    source: ReportSource, tmp_path: Path
) -> None:
    (item,) = [one for one in trademarks(as_json(source, tmp_path / "r.json")) if one["full"]]
    assert item["receiptSum"] == receipt_sum(world.RECEIPT)
    assert item["findings"] == {"critical": 17, "error": 190, "warning": 0, "info": 3}
    rules = item["rules"]["items"]
    assert [(rule["ruleCode"], rule["records"], rule["new"]) for rule in rules] == [
        ("ALL.PKG.008", 17, 9),
        ("ALL.CNF.006", 130, 65),
        ("ALL.CMP.016", 60, 30),
        ("ALL.PKG.012", 0, 2),
    ]
    areas = {score["area"]: (score["clean"], score["records"]) for score in item["scores"]["items"]}
    # r0 to r129 have something serious, one record of 398 could not be read.
    assert areas["all"] == (267, 398)
    assert areas["package"] == (380, 398)
    assert areas["conformity"] == (267, 397)
    assert areas["uniqueness"] == (397, 397)
    assert item["impact"]["criticalRecords"] == 17
    words = {word["value"]: word["findings"] for word in item["vocabulary"]["items"]}
    assert item["vocabulary"]["total"] == len(words) == len(world.HOSTILE + world.WORDS)
    assert sum(words.values()) == world.COUNTS["ALL.CNF.006"]


# --- CSV -------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_no_cell_of_the_csv_is_active(source: ReportSource, tmp_path: Path, delimiter: str) -> None:
    write_csv(source, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter=delimiter) for cell in row]
    assert [cell for cell in cells if cell.lstrip(" \ufeff")[:1] in set(world.ACTIVE)] == []


def checked(source: ReportSource) -> str | None:
    """Return the delivery that has the findings."""
    (found,) = (
        one.arrival.deliveryId for one in source.report.reports if any(one.findings.values())
    )
    return found


def test_the_csv_has_every_finding_with_every_member(
    source: ReportSource, stored: list[dict[str, Any]], tmp_path: Path
) -> None:
    write_csv(source, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == [*FINDINGS.names, "deliveryId"]
        rows = list(reader)
    assert {row["deliveryId"] for row in rows} == {checked(source)}
    assert [(row["ruleCode"], row["line"]) for row in rows] == [
        (row["ruleCode"], str(row["line"])) for row in stored
    ]
    harmless = [row for row in stored if row["value"] in world.WORDS]
    assert [row["value"] for row in rows if row["value"] in world.WORDS] == [
        r["value"] for r in harmless
    ]


# --- XLSX ------------------------------------------------------------------------------------

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets(path: Path) -> dict[str, list[list[str]]]:
    """Return the cells of each sheet, by its name; texts only from inline strings."""
    with zipfile.ZipFile(path) as book:
        names = [
            sheet.get("name")
            for sheet in etree.fromstring(book.read("xl/workbook.xml")).iter(f"{MAIN}sheet")
        ]
        found = {}
        for number, name in enumerate(names, 1):
            tree = etree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
            found[name] = [
                ["".join(cell.itertext()) for cell in row] for row in tree.iter(f"{MAIN}row")
            ]
    return found


def test_the_workbook_has_no_formula_and_no_link(source: ReportSource, tmp_path: Path) -> None:
    path = tmp_path / "report.xlsx"
    write_xlsx(source, path)
    with zipfile.ZipFile(path) as book:
        for name in book.namelist():
            content = book.read(name)
            assert b"<f>" not in content, name
            assert b"<f " not in content, name
            assert b"<hyperlink " not in content, name
            assert b'TargetMode="External"' not in content, name
        assert b"quotePrefix" in book.read("xl/styles.xml")


def test_the_workbook_has_every_finding(
    source: ReportSource, stored: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "report.xlsx"
    write_xlsx(source, path)
    found = sheets(path)
    assert list(found) == ["Summary", "Rules", "Findings", "Unknown words", "Deliveries"]
    head, *rows = found["Findings"]
    assert head == [*FINDINGS.names, "deliveryId"]
    assert len(rows) == len(stored)
    assert {row[-1] for row in rows} == {checked(source)}
    for name in ("Rules", "Unknown words"):
        assert {row[1] for row in found[name][1:]} == {checked(source)}
    assert any(receipt_sum(world.RECEIPT) in row for row in found["Summary"])
    texts = {cell for row in rows for cell in row}
    assert {"=1+1", "<script>alert(1)</script>", *world.WORDS} <= texts


def test_more_findings_than_a_sheet_holds_go_on_on_the_next(
    source: ReportSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.reports.tables.SHEET_ROWS", 100)
    write_xlsx(source, tmp_path / "report.xlsx")
    found = sheets(tmp_path / "report.xlsx")
    parts = [rows for name, rows in found.items() if name.startswith("Findings")]
    assert [len(rows) - 1 for rows in parts] == [100, 100, 10]
    assert {tuple(rows[0]) for rows in parts} == {(*FINDINGS.names, "deliveryId")}


# --- command and stores ----------------------------------------------------------------------


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.mark.parametrize("format", ["html", "json", "csv", "xlsx"])
def test_the_command_writes_a_file_or_standard_output(
    home: Path, tmp_path: Path, format: str
) -> None:
    before = sorted(home.rglob("*"))
    asked = ("--home", home, "--office", "kh", "--right", "trademarks", "--format", format)
    written = run(*asked, "--output", tmp_path / "report")
    shown = run(*asked, "--output", "-")
    assert (written.exit_code, shown.exit_code) == (0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    if format in ("csv", "html"):
        content = (tmp_path / "report").read_bytes()
        without_time = re.compile(rb"Made on .*? UTC")
        assert without_time.sub(b"", shown.stdout_bytes) == without_time.sub(b"", content)
    else:
        assert len(shown.stdout_bytes) > 1_000
    assert sorted(home.rglob("*")) == before


def test_an_office_without_deliveries_gets_a_report_that_says_so(home: Path) -> None:
    shown = run("--home", home, "--office", "LA", "--format", "html")
    assert shown.exit_code == 0
    assert "Nothing has been delivered yet" in shown.stdout
    assert (
        json.loads(run("--home", home, "--office", "LA", "--format", "json").stdout)["items"] == []
    )


def test_a_report_that_cannot_be_written_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    failed = run("--home", home, "--office", "KH", "--output", tmp_path / "no" / "report.html")
    assert isinstance(failed.exception, StoreError)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_one_of_findings_is_our_trouble(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(StoreError):
        FindingsFile(tmp_path / "x.parquet", temporary=tmp_path).tallies()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> FindingsFile:
    directory = tmp_path_factory.mktemp("many")
    world.findings_file(directory / "many.parquet", {"ALL.CMP.016": 15_000}, world.WORDS)
    return FindingsFile(directory / "many.parquet", temporary=directory)


@pytest.mark.parametrize("write", [write_json, write_csv, write_html])
def test_memory_does_not_grow_with_the_findings(
    source: ReportSource, many: FindingsFile, tmp_path: Path, write: Any
) -> None:
    reports = tuple(report for report in source.report.reports if report.full)[-1:]
    much = ReportSource(replace(source.report, reports=reports), {0: many})
    tracemalloc.start()
    write(much, tmp_path / "report")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All 15,000 as Python values are some 24 MB; a batch of 2,000 is some 4 MB.
    assert peak < 10 << 20
