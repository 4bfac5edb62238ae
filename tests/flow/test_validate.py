"""The offline check finds what intake finds, needs no hub and leaves nothing behind."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from connectors.hub import Hub
from connectors.ledger import DeliveredFile, Delivery
from connectors.schema import FINDINGS
from connectors.settings import Settings
from iphub.cli import app
from iphub.output import DONE, FAILED, USAGE
from iphub.output import FINDINGS as FOUND
from iphub.validate import Threshold
from ipregister.deliveries import Kind
from ipregister.errors import ConfigurationError, UnreadableDelivery
from ipregister.model import Right
from pipelines.ingest import process_delivery

FIXTURES = Path(__file__).parents[1] / "fixtures"
CLEAN = FIXTURES / "th/patents/single.xml"
WITH_ERROR = FIXTURES / "ph/trademarks/sign_type.xml"
UNCLOSED = FIXTURES / "kh/trademarks/unclosed.xml"
DOMESTIC = FIXTURES / "kh/trademarks/domestic.xml"

PLACES = [
    "la/trademarks/language_la.xml",
    "th/trademarks/buddhist_era.xml",
    "vn/trademarks/update_2026-10.xml",
    "kh/trademarks/unclosed.xml",
    "kh/designs/full_2026-09.xml",
]


def validate(*files: Path, office: str, right: str = "trademarks", **options: str) -> Result:
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    asked = ["validate", *map(str, files), "--office", office, "--right", right, *arguments]
    return CliRunner().invoke(app, asked)


def document(result: Result) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(result.stdout)
    return made


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub.create(Settings(home=tmp_path_factory.mktemp("hub")))
    yield made
    made.close()


def intake(
    hub: Hub, files: list[Path], office: str, right: str, kind: Kind
) -> tuple[Delivery, list[dict[str, Any]]]:
    """Deliver the same files and return the delivery and its findings."""
    landed = [(path, hub.landing.put_file(path)) for path in files]
    now = datetime.now(UTC)
    sent = [DeliveredFile(path.name, file.sha256, file.bytes) for path, file in landed]
    deliveries = hub.ledger.deliveries
    new = deliveries.record(office, Right(right), kind, "local", sent, at=now, by="test")
    done = process_delivery(hub, new.deliveryId, worker="test", clock=lambda: now)
    assert done is not None
    return done, pq.read_table(hub.home.findings(new.deliveryId)).to_pylist()


@pytest.mark.parametrize("place", PLACES)
def test_the_check_finds_what_intake_finds(place: str, hub: Hub) -> None:
    office, right, _ = place.split("/")
    path = FIXTURES / place
    delivery, found = intake(hub, [path], office.upper(), right, Kind.FULL_EXTRACTION)
    checked = document(validate(path, office=office, right=right, format="json"))
    assert checked["items"] == found
    assert found
    counted = {name: count for name, count in checked["findings"].items() if count}
    assert counted == delivery.findings
    assert checked["receipt"] == asdict(delivery.receipt)


@pytest.fixture
def twice(tmp_path: Path) -> list[Path]:
    """One number in two files, with different content."""
    other = tmp_path / "other.xml"
    text = DOMESTIC.read_text("utf-8")
    assert "2029-05-02" in text
    other.write_text(text.replace("2029-05-02", "2029-05-03"), "utf-8")
    return [DOMESTIC, other]


@pytest.mark.parametrize(
    ("kind", "code"), [("full_extraction", "ALL.UNQ.001"), ("update", "ALL.UNQ.006")]
)
def test_a_number_that_stands_twice_is_found_as_intake_would(
    twice: list[Path], tmp_path_factory: pytest.TempPathFactory, kind: str, code: str
) -> None:
    checked = document(validate(*twice, office="KH", kind=kind, format="json"))
    alone = Hub.create(Settings(home=tmp_path_factory.mktemp("hub")))
    delivery, found = intake(alone, twice, "KH", "trademarks", Kind(kind))
    alone.close()
    assert checked["items"] == found
    assert code in {finding["ruleCode"] for finding in checked["items"]}
    assert checked["receipt"] == asdict(delivery.receipt)


@pytest.mark.parametrize(
    ("files", "office", "right", "options", "code"),
    [
        ([CLEAN], "TH", "patents", {}, DONE),
        ([WITH_ERROR], "PH", "trademarks", {}, FOUND),
        ([WITH_ERROR], "PH", "trademarks", {"fail-on": "critical"}, DONE),
        ([UNCLOSED], "KH", "trademarks", {}, FAILED),
        ([UNCLOSED], "KH", "trademarks", {"fail-on": "critical"}, FAILED),
        ([DOMESTIC, UNCLOSED], "KH", "trademarks", {}, FOUND),
        ([WITH_ERROR], "KH", "trademarks", {"fail-on": "critical"}, FOUND),
        ([WITH_ERROR], "PH", "patents", {}, FAILED),
    ],
    ids=["clean", "error", "below", "unreadable", "unreadable-below", "one-bad", "office", "right"],
)
def test_exit_codes(
    files: list[Path], office: str, right: str, options: dict[str, str], code: int
) -> None:
    result = validate(*files, office=office, right=right, format="json", **options)
    assert result.exit_code == code, result.output
    assert document(result)["inWords"]


@pytest.mark.parametrize("threshold", Threshold)
@pytest.mark.parametrize("severity", ["critical", "error", "warning", "info"])
def test_a_threshold_is_reached_by_its_severity_and_worse_ones(
    threshold: Threshold, severity: str
) -> None:
    order = ["critical", "error", "warning", "info"]
    expected = order.index(severity) <= order.index(threshold)
    assert threshold.is_reached(dict.fromkeys(order, 0) | {severity: 1}) is expected
    assert not threshold.is_reached(dict.fromkeys(order, 0))


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    result = validate(tmp_path / "none.xml", office="KH")
    assert isinstance(result.exception, UnreadableDelivery)
    assert "No such file" in str(result.exception)


def test_a_name_that_is_not_utf8_is_shown_as_the_hub_keeps_it(tmp_path: Path) -> None:
    named = tmp_path / os.fsdecode(b"d\xe9p\xf4t.xml")
    named.write_bytes(WITH_ERROR.read_bytes())
    checked = validate(named, office="PH", format="json")
    assert {item["file"] for item in document(checked)["items"]} == {r"d\udce9p\udcf4t.xml"}


def test_a_right_the_office_does_not_send_is_refused() -> None:
    result = validate(CLEAN, office="SG", right="trademarks")
    assert isinstance(result.exception, ConfigurationError)


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("iphub")
    line = [str(part) for part in (program, "validate", *arguments)]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(cwd)}
    return subprocess.run(
        line, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_it_needs_no_hub_and_leaves_nothing_behind(tmp_path: Path) -> None:
    asked = ("--office", "PH", "--right", "trademarks", "--format", "json")
    result = command(WITH_ERROR, *asked, cwd=tmp_path)
    assert result.returncode == FOUND, result.stderr
    assert json.loads(result.stdout)["deliveryId"] is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((CLEAN, "--office", "ZZ", "--right", "patents"), USAGE),
        ((CLEAN, "--office", "TH", "--right", "perfumes"), USAGE),
        (("--office", "TH", "--right", "patents"), USAGE),
        (("none.xml", "--office", "TH", "--right", "patents"), FAILED),
    ],
    ids=["office", "right", "no file", "missing file"],
)
def test_wrong_usage_is_told_from_unreadable_input(
    arguments: tuple[str | Path, ...], code: int, tmp_path: Path
) -> None:
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert result.stderr.strip()
    told = json.loads(command(*arguments, "--format", "json", cwd=tmp_path).stdout)["error"]
    assert told["code"] == ("usage" if code == USAGE else "unreadable_delivery")
    assert told["detail"]


def test_csv_has_one_finding_a_line() -> None:
    result = validate(FIXTURES / PLACES[0], office="LA", format="csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    placeholders = [row["value"] for row in rows if row["ruleCode"] == "ALL.CMP.016"]
    assert list(rows[0]) == FINDINGS.names
    assert placeholders == ["'-"]


def test_html_says_that_nothing_was_delivered(tmp_path: Path) -> None:
    page = tmp_path / "check.html"
    result = validate(WITH_ERROR, office="PH", format="html", output=str(page))
    text = page.read_text("utf-8")
    assert result.stdout == ""
    assert "<h1>Check before delivery</h1>" in text
    assert "This was a check only: nothing was delivered." in text
    assert "Last deliveries" not in text


def test_sarif_points_at_file_and_line() -> None:
    path = FIXTURES / "th/trademarks/buddhist_era.xml"
    findings = document(validate(path, office="TH", format="json"))["items"]
    log = document(validate(path, office="TH", format="sarif"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert len(run["results"]) == len(findings)
    rules = run["tool"]["driver"]["rules"]
    for result, finding in zip(run["results"], findings, strict=True):
        place = result["locations"][0]["physicalLocation"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding["ruleCode"]
        assert place["artifactLocation"]["uri"] == finding["file"]
        assert place["region"]["startLine"] == finding["line"]
        assert result["level"] == {"critical": "error", "info": "note"}.get(
            finding["severity"], finding["severity"]
        )


def test_people_read_the_sum_and_what_to_do() -> None:
    result = validate(WITH_ERROR, office="PH")
    assert "1 read = 1 accepted + 0 held + 0 rejected + 0 unchanged + 0 duplicates" in result.stdout
    assert "TM.CMP.001" in result.stdout
    assert "What to do: " in result.stdout
    assert "sign_type.xml:" in result.stdout
