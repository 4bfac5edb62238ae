"""Reports as work lists: CSV with one finding a line, and an XLSX workbook.

Every text comes from someone else's data, so every cell is made harmless (``safe_cells``).
Both are streamed; the workbook keeps one row in memory.

Standard: RFC 4180 for CSV, in UTF-8 without a byte order mark; ISO/IEC 29500 for XLSX.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import xlsxwriter

from connectors.reports.safe_cells import for_csv, for_xlsx
from connectors.reports.sources import ReportSource
from connectors.schema import FINDINGS
from ipregister.folders import FolderVisit
from ipregister.report_words import RIGHTS, moment
from ipregister.reporting import QualityReport

SHEET_ROWS = 1_048_575
"""Rows a sheet of Excel holds below the header; more findings go on on the next sheet."""

WIDTHS = {
    "message": 60, "remedy": 60, "title": 48, "value": 32, "suggestedValue": 24, "elementPath": 48,
    "file": 32, "field": 26, "applicationNumber": 20, "recordId": 24, "reason": 60,
    "severityReason": 40, "source": 30, "sha256": 20, "statement": 60, "part": 24,
    "path": 60,
}  # fmt: skip
"""Widths of columns, in characters; others are 14."""

Cell = str | int | float | None


def write_csv(source: ReportSource, path: Path) -> None:
    """Write all findings of the deliveries reported in full, one a line."""
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(_finding_columns(source))
        for row in _findings(source):
            writer.writerow(map(for_csv, row))


def write_xlsx(source: ReportSource, path: Path) -> None:
    """Write the workbook: summary, rules, findings, unknown words, deliveries."""
    options = {
        "constant_memory": True,
        "tmpdir": str(path.parent),
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as workbook:
        report = source.report
        created = report.generatedAt.replace(tzinfo=None)
        workbook.set_properties({"title": f"Quality report {report.office}", "created": created})
        book = _Book(workbook)
        full = [one for one in report.reports if one.full]
        book.sheet("Summary", SUMMARY_COLUMNS, _summary(source, full))
        book.sheet("Rules", RULE_COLUMNS, _rules(full))
        book.sheet("Findings", _finding_columns(source), _findings(source))
        book.sheet("Unknown words", WORD_COLUMNS, _words(full))
        if not report.isDryRun:
            book.sheet("Deliveries", DELIVERY_COLUMNS, _deliveries(report.reports))
        if report.folder:
            book.sheet("Not taken", NOT_TAKEN_COLUMNS, _not_taken(report.folder))


SUMMARY_COLUMNS = ["right", "part", "records", "share", "statement"]
RULE_COLUMNS = [
    "right", "deliveryId", "ruleCode", "severity", "area", "title", "records", "share", "findings",
    "new", "remedy", "source", "severityReason",
]  # fmt: skip
WORD_COLUMNS = [
    "right", "deliveryId", "ruleCode", "field", "value", "findings", "records", "firstFile",
]  # fmt: skip
DELIVERY_COLUMNS = [
    "right", "deliveryId", "receivedAt", "kind", "channel", "state", "reason", "file", "sha256",
    "bytes", "recordsRead", "accepted", "held", "rejected", "unchanged", "duplicates",
]  # fmt: skip


NOT_TAKEN_COLUMNS = ["path", "since", "waits", "reason"]


class _Book:
    """A workbook whose texts are text, whatever they look like."""

    def __init__(self, workbook: xlsxwriter.Workbook) -> None:
        self._workbook = workbook
        self._head = workbook.add_format(
            {"bold": True, "bg_color": "#E8EDF3", "quote_prefix": True}
        )
        # Without the prefix, Excel would calculate the text once somebody edits the cell.
        self._text = workbook.add_format({"quote_prefix": True, "valign": "top", "text_wrap": True})

    def sheet(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Write a table; past the end of a sheet it goes on on the next."""
        number, sheet, place = 1, None, 0
        for row in rows:
            if sheet is None or place == SHEET_ROWS:
                sheet = self._new(name if number == 1 else f"{name} {number}", columns)
                number, place = number + 1, 0
            place += 1
            for column, cell in enumerate(row):
                if isinstance(cell, (int, float)):
                    sheet.write_number(place, column, cell)
                elif cell:
                    sheet.write_string(place, column, for_xlsx(cell), self._text)
        if sheet is None:
            self._new(name, columns)

    def _new(self, name: str, columns: Sequence[str]) -> xlsxwriter.worksheet.Worksheet:
        sheet = self._workbook.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(columns):
            sheet.set_column(place, place, WIDTHS.get(column, 14))
            sheet.write_string(0, place, column, self._head)
        return sheet


def _summary(source: ReportSource, full: Sequence[QualityReport]) -> Iterator[Sequence[Cell]]:
    report = source.report
    yield (
        "",
        "generated",
        None,
        None,
        f"{report.officeName} ({report.office}), {moment(report.generatedAt)}",
    )
    if report.folder:
        yield "", "SFTP folder", report.folder.total, None, report.folder.in_words
    for one in full:
        right, arrival = RIGHTS[one.arrival.right], one.arrival
        yield right, "in short", None, None, one.headline
        yield right, "delivery", None, None, arrival.deliveryId or "not delivered, checked only"
        yield right, "impact", None, None, one.impact
        for score in one.scores:
            told = f"{score.clean:,} of {score.records:,} records have no critical or error finding"
            yield right, f"score: {score.area}", score.clean, score.share, told
        for severity, count in one.findings.items():
            yield right, f"findings: {severity}", count, None, ""
        if arrival.receipt:
            yield (
                right,
                "receipt",
                arrival.receipt.recordsRead,
                None,
                arrival.document()["receiptSum"],
            )


def _not_taken(folder: FolderVisit) -> Iterator[Sequence[Cell]]:
    for item in folder.items:
        since = moment(item.since) if item.since else None
        yield item.path, since, "yes" if item.waits else "no", item.reason


def _rules(full: Iterable[QualityReport]) -> Iterator[Sequence[Cell]]:
    for one in full:
        told = RIGHTS[one.arrival.right], one.arrival.deliveryId
        for rule in one.rules:
            yield *told, *(getattr(rule, name) for name in RULE_COLUMNS[2:])


def _finding_columns(source: ReportSource) -> list[str]:
    """Return the head of the findings; what an earlier delivery had may be mended by now."""
    return FINDINGS.names if source.report.isDryRun else [*FINDINGS.names, "deliveryId"]


def _findings(source: ReportSource) -> Iterator[Sequence[Cell]]:
    for place, file in source.findings.items():
        delivery = source.report.reports[place].arrival.deliveryId
        told = () if source.report.isDryRun else (delivery,)
        for row in file.all():
            yield *(row[name] for name in FINDINGS.names), *told


def _words(full: Iterable[QualityReport]) -> Iterator[Sequence[Cell]]:
    for one in full:
        told = RIGHTS[one.arrival.right], one.arrival.deliveryId
        for word in one.vocabulary.items:
            yield *told, *(getattr(word, name) for name in WORD_COLUMNS[2:])


def _deliveries(reports: Iterable[QualityReport]) -> Iterator[Sequence[Cell]]:
    """Yield one row per file; the numbers of a delivery stand in its first row."""
    for one in reports:
        arrival, receipt = one.arrival, one.arrival.receipt
        received = moment(arrival.receivedAt) if arrival.receivedAt else None
        told = (RIGHTS[arrival.right], arrival.deliveryId, received, arrival.kind, arrival.channel)
        for place, file in enumerate(arrival.files):
            counts: Sequence[Cell] = ()
            if receipt and place == 0:
                counts = [getattr(receipt, name) for name in DELIVERY_COLUMNS[10:]]
            yield *told, arrival.state, arrival.reason, file.name, file.sha256, file.bytes, *counts
