"""Reports for programs: JSON, and SARIF for tools that show findings beside the file.

Both are verbatim and streamed: a million findings take no more memory than a thousand.

Standard: SARIF 2.1.0 (OASIS).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import msgspec

from connectors.reports.findings import FindingsFile
from connectors.reports.sources import ReportSource
from ipregister.quality import Severity
from ipregister.reporting import QualityReport

SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

LEVELS = {
    Severity.CRITICAL: "error",
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
}

PROPERTIES = (
    "recordId", "applicationNumber", "field", "value", "suggestedValue", "severity", "state",
)  # fmt: skip
"""Members of a finding that SARIF has no own place for."""

_encode = msgspec.json.Encoder().encode


def write_json(source: ReportSource, path: Path) -> None:
    """Write the office's report: its deliveries under ``items``, findings under theirs."""
    with path.open("wb") as sink:
        report = source.report
        if report.isDryRun:
            document = report.document() | report.reports[0].document()
            _write_items(sink, document, map(_encode, source.findings[0].all()))
        else:
            _write_items(sink, report.document(), _deliveries(source))
        sink.write(b"\n")


def write_sarif(source: ReportSource, path: Path) -> None:
    """Write the findings of a dry run as one SARIF run."""
    report = source.report.reports[0]
    places = {rule.ruleCode: place for place, rule in enumerate(report.rules)}
    head, tail = _encode(_sarif(report)).split(b'"results":[]')
    with path.open("wb") as sink:
        sink.write(head + b'"results":[')
        _write_joined(sink, (_encode(_result(row, places)) for row in source.findings[0].all()))
        sink.write(b"]" + tail + b"\n")


def _deliveries(source: ReportSource) -> Iterator[bytes | tuple[dict[str, Any], FindingsFile]]:
    for place, report in enumerate(source.report.reports):
        if report.full:
            yield report.document(), source.findings[place]
        else:
            yield _encode(report.document())


def _write_items(
    sink: BinaryIO,
    document: Mapping[str, Any],
    items: Iterator[bytes | tuple[dict[str, Any], FindingsFile]] | Iterator[bytes],
) -> None:
    """Write a document and its ``items``, which come last because they are long."""
    sink.write(_encode(document)[:-1] + b',"items":[')
    _write_joined(sink, items)
    sink.write(b"]}")


def _write_joined(
    sink: BinaryIO, items: Iterator[bytes | tuple[dict[str, Any], FindingsFile]] | Iterator[bytes]
) -> None:
    separator = b"\n"
    for item in items:
        sink.write(separator)
        separator = b",\n"
        if isinstance(item, bytes):
            sink.write(item)
        else:
            document, findings = item
            _write_items(sink, document, map(_encode, findings.all()))


def _sarif(report: QualityReport) -> dict[str, Any]:
    rules = [
        {
            "id": rule.ruleCode,
            "shortDescription": {"text": rule.title},
            "help": {"text": rule.remedy or rule.title},
            "defaultConfiguration": {"level": LEVELS[rule.severity]},
            "properties": {"severity": rule.severity, "source": rule.source, "tags": [rule.area]},
        }
        for rule in report.rules
    ]
    driver = {"name": "iphub", "organization": "ASEAN IP Data Hub", "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": []}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Mapping[str, Any], places: Mapping[str, int]) -> dict[str, Any]:
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": quote(finding["file"] or "", safe="/!")}
    }
    if finding["line"]:
        physical["region"] = {"startLine": finding["line"]}
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding["elementPath"]:
        location["logicalLocations"] = [
            {"fullyQualifiedName": finding["elementPath"], "kind": "element"}
        ]
    return {
        "ruleId": finding["ruleCode"],
        "ruleIndex": places[finding["ruleCode"]],
        "level": LEVELS[Severity(finding["severity"])],
        "message": {"text": f"{finding['message']} {finding['remedy'] or ''}".strip()},
        "locations": [location],
        "properties": {name: finding[name] for name in PROPERTIES if finding[name] is not None},
    }
