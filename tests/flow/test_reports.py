"""An office's report in every format, over a hub with a history and hostile findings."""

import base64
import csv
import hashlib
import json
import re
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree
from typer.testing import CliRunner

from connectors.findings import FindingBook
from connectors.hub import Hub
from connectors.ledger import DeliveredFile, Delivery
from connectors.reports.documents import write_json
from connectors.reports.findings import FindingsFile
from connectors.reports.pages import FINDINGS_SHOWN, environment, write_html
from connectors.reports.sources import ReportSource, office_report
from connectors.reports.tables import write_csv, write_xlsx
from connectors.schema import FINDINGS
from connectors.settings import Settings
from iphub.cli import app
from ipregister.deliveries import Kind, Receipt, State
from ipregister.errors import StoreError
from ipregister.model import Right
from ipregister.report_words import receipt_sum

NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
RECEIPT = Receipt(recordsRead=400, accepted=380, held=17, rejected=1, duplicates=2, inserted=380)

WORDS = ["ផ្កាឈូក", "ดอกบัว", "ດອກບົວ", "ကြာပန်း", "Hoa Sen Việt"]
STARTS = ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", " =", "\ufeff="]  # noqa: RUF001
BODIES = ["1+1", 'HYPERLINK("http://evil.example")', "cmd|' /C calc'!A0"]
FORMULAS = [start + body for start in STARTS for body in BODIES] + ["a;=1+1", "a\n=1+1", "-", "="]
MARKUP = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "https://evil.example/?q=1",
    "\u202egnp.exe\x07",
]
HOSTILE = FORMULAS + MARKUP
ACTIVE = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001


def findings_file(path: Path, counts: dict[str, int], values: list[str]) -> None:
    """Write findings of each rule, in the order intake writes them; values take turns."""
    book = FindingBook({})
    rows = [
        book.finding(
            code,
            file=f"{values[i % len(values)]}.zip!{i}.xml",
            line=i + 1,
            recordId=None if code.startswith("ALL.PKG.01") else f"r{i}",
            applicationNumber=f"KH/{90_000 + i}/2026",
            elementPath="TradeMark/ApplicationNumber",
            value=values[i % len(values)],
            suggestedValue=values[-1 - i % len(values)],
            state="open" if i % 2 else "new",
        )
        for code, count in counts.items()
        for i in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=FINDINGS), path)


COUNTS = {
    "ALL.PKG.008": 17,
    "ALL.CNF.006": FINDINGS_SHOWN + 30,
    "ALL.CMP.016": 60,
    "ALL.PKG.012": 3,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub where KH delivered trademarks twelve times, once the same again, and patents once."""
    home = tmp_path_factory.mktemp("hub")
    hub = Hub.create(Settings(home=home))
    for hour in range(11):
        deliver(hub, hour, State.PUBLISHED, Receipt(recordsRead=1, accepted=1))
    checked = deliver(hub, 11, State.PUBLISHED_WITH_FINDINGS, RECEIPT, findings={"critical": 17})
    again = [DeliveredFile("again.xml", f"{11:064x}", 7)]
    hub.ledger.deliveries.record(
        "KH", Right.TRADEMARKS, Kind.UPDATE, "sftp", again, at=at(12), by="ipob_kh"
    )
    held = Receipt(recordsRead=100, held=100)
    deliver(
        hub, 13, State.HELD, held, right=Right.PATENTS, reason="Held: <b>45</b> would disappear"
    )
    findings_file(hub.home.findings(checked.deliveryId), COUNTS, HOSTILE + WORDS)
    hub.close()
    return home


def at(hour: int) -> datetime:
    return NOW - timedelta(hours=20 - hour)


def deliver(
    hub: Hub,
    hour: int,
    state: State,
    receipt: Receipt,
    *,
    right: Right = Right.TRADEMARKS,
    reason: str | None = None,
    findings: dict[str, int] | None = None,
) -> Delivery:
    ledger = hub.ledger.deliveries
    files = [DeliveredFile(f"KH {WORDS[0]} {hour}.xml", f"{hour:064x}", 7)]
    new = ledger.record("KH", right, Kind.UPDATE, "sftp", files, at=at(hour), by="ipob_kh")
    assert hub.ledger.leases.claim(new.deliveryId, "test", at(hour))
    return ledger.move(
        new.deliveryId,
        state,
        at(hour),
        "test",
        reason,
        receipt=receipt,
        findings=findings,
        worker="test",
    )


@pytest.fixture
def source(home: Path, tmp_path: Path) -> Iterator[ReportSource]:
    hub = Hub.open(Settings(home=home))
    yield office_report(hub, "KH", None, at=NOW, temporary=tmp_path / "spill")
    hub.close()


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
    assert len(stored) == sum(COUNTS.values())
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
    assert item["receiptSum"] == receipt_sum(RECEIPT)
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
    assert item["vocabulary"]["total"] == len(words) == len(HOSTILE + WORDS)
    assert sum(words.values()) == COUNTS["ALL.CNF.006"]


# --- CSV -------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_no_cell_of_the_csv_is_active(source: ReportSource, tmp_path: Path, delimiter: str) -> None:
    write_csv(source, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter=delimiter) for cell in row]
    assert [cell for cell in cells if cell.lstrip(" \ufeff")[:1] in set(ACTIVE)] == []


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
    harmless = [row for row in stored if row["value"] in WORDS]
    assert [row["value"] for row in rows if row["value"] in WORDS] == [r["value"] for r in harmless]


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
    assert any(receipt_sum(RECEIPT) in row for row in found["Summary"])
    texts = {cell for row in rows for cell in row}
    assert {"=1+1", "<script>alert(1)</script>", *WORDS} <= texts


def test_more_findings_than_a_sheet_holds_go_on_on_the_next(
    source: ReportSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.reports.tables.SHEET_ROWS", 100)
    write_xlsx(source, tmp_path / "report.xlsx")
    found = sheets(tmp_path / "report.xlsx")
    parts = [rows for name, rows in found.items() if name.startswith("Findings")]
    assert [len(rows) - 1 for rows in parts] == [100, 100, 10]
    assert {tuple(rows[0]) for rows in parts} == {(*FINDINGS.names, "deliveryId")}


# --- HTML ------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.style = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._open == "style" and not self.style:
            self.style = data
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def written(source: ReportSource, tmp_path: Path) -> Page:
    write_html(source, tmp_path / "report.html")
    return Page((tmp_path / "report.html").read_text("utf-8"))


@pytest.fixture
def page(source: ReportSource, tmp_path: Path) -> Page:
    return written(source, tmp_path)


def test_the_page_needs_nothing_else(page: Page) -> None:
    names = {name for name, _ in page.elements}
    assert names.isdisjoint({"script", "img", "link", "iframe", "object", "form", "base", "audio"})
    for _, attributes in page.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src")
        ]
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_the_policy_lets_through_the_pages_own_style_alone(page: Page) -> None:
    (policy,) = [
        m["content"] for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_what_an_office_wrote_is_text(page: Page) -> None:
    text = "".join(page.text)
    for value in MARKUP[:-1]:
        assert value in text
    assert "⟦U+202E⟧gnp.exe⟦U+0007⟧" in text
    assert "<b>45</b> would disappear" in text


def test_every_template_escapes() -> None:
    made = environment()
    assert made.autoescape is True
    for name in made.list_templates(extensions=["j2"]):
        text, _, _ = made.loader.get_source(made, name)  # type: ignore[union-attr]
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape false" not in text


def test_the_page_can_be_used_without_eyes(page: Page) -> None:
    assert page.of("html")[0]["lang"] == "en"
    for landmark in ("header", "main", "footer", "nav"):
        assert len(page.of(landmark)) == 1, landmark
    assert page.of("th")
    assert all(cell.get("scope") in ("row", "col") for cell in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table"))
    assert all(
        svg.get("aria-hidden") == "true" or svg.get("role") == "img" for svg in page.of("svg")
    )
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for attributes in page.of("a")}
    assert targets <= {f"#{name}" for name in ids}
    assert {"km", "th", "lo", "my"} <= {bdi.get("lang") for bdi in page.of("bdi")}


def test_the_page_shows_the_sum_and_the_first_findings(page: Page) -> None:
    assert receipt_sum(RECEIPT) in {attributes.get("aria-label") for attributes in page.of("ul")}
    text = re.sub(r"\s+", " ", "".join(page.text))
    assert f"The first {FINDINGS_SHOWN} findings; 30 more in the CSV" in text
    assert text.count("KH/90099/2026") == 1
    assert "KH/90100/2026" not in text
    assert "All times in this report are UTC" in text
    assert "The latest delivery is waiting for your decision" in text
    assert "Newer: delivery KH-" in text


def test_a_clean_delivery_does_not_hide_what_an_earlier_one_left_to_mend(tmp_path: Path) -> None:
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    first = deliver(hub, 1, State.PUBLISHED_WITH_FINDINGS, RECEIPT, findings={"critical": 17})
    clean = deliver(hub, 2, State.PUBLISHED, Receipt(recordsRead=1, accepted=1))
    findings_file(hub.home.findings(first.deliveryId), COUNTS, WORDS)
    findings_file(hub.home.findings(clean.deliveryId), {}, WORDS)
    deliver(hub, 3, State.PUBLISHED, Receipt(recordsRead=1, accepted=1), right=Right.PATENTS)
    source = office_report(hub, "KH", None, at=NOW, temporary=tmp_path / "spill")
    text = re.sub(r"\s+", " ", "".join(written(source, tmp_path).text))
    hub.close()
    told = "Nothing was found in it; there is nothing to do about it."
    assert text.count(f"The latest delivery is published. {told}") == 4
    assert text.count(f"{told} Earlier deliveries had findings.") == 1
    assert len(re.findall("This delivery is published. [0-9]+ of [0-9]+ records have", text)) == 1


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
    findings_file(directory / "many.parquet", {"ALL.CMP.016": 15_000}, WORDS)
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
