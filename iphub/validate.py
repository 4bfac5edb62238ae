"""The command ``iphub validate``: what intake would find, on the office's own machine.

Offline, without a hub: the same reading, rules and findings as intake, in a directory that
is gone afterwards. Only what needs the register (what would vanish, what is unchanged) is
not known here.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.table import Table

from connectors.checking import check, collect_findings, note_comparison
from connectors.register.difference import difference
from connectors.register.incoming import Arriving
from connectors.register.store import RegisterStore
from connectors.reports.documents import write_json, write_sarif
from connectors.reports.findings import FindingsFile
from connectors.reports.pages import write_html
from connectors.reports.sources import ReportSource, dry_run_report
from connectors.reports.tables import write_csv
from connectors.staging.documents import StagedFile
from connectors.submitting import distinct_names
from iphub.context import OfficeOption, RightOption
from iphub.output import DONE, FAILED, FINDINGS, Terminal, progress
from iphub.report import STDOUT, OutputOption, Writer, deliver
from ipregister.deliveries import Kind
from ipregister.errors import UnreadableDelivery
from ipregister.model import Right
from ipregister.profiles import load_profile
from ipregister.quality import Severity
from ipregister.report_words import percent, receipt_sum
from ipregister.reporting import Arrival, ReportedFile

EXAMPLES = 3
"""Findings of each rule in the terminal; the other formats have all."""


class ValidationFormat(StrEnum):
    """How the findings are given back."""

    RICH = "rich"
    JSON = "json"
    CSV = "csv"
    HTML = "html"
    SARIF = "sarif"


class Threshold(StrEnum):
    """From which severity on findings make the command fail."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"

    def is_reached(self, counts: dict[str, int]) -> bool:
        """Tell whether there is a finding at or above this severity."""
        worst_first = [str(severity) for severity in Severity]
        return any(counts.get(name) for name in worst_first[: worst_first.index(self) + 1])


def validate(
    files: Annotated[list[Path], typer.Argument(help="Files of one delivery.")],
    office: OfficeOption,
    right: RightOption,
    kind: Annotated[
        Kind, typer.Option("--kind", help="What the files would be delivered as.")
    ] = Kind.FULL_EXTRACTION,
    format: Annotated[
        ValidationFormat, typer.Option("--format", help="For people, or for programs.")
    ] = ValidationFormat.RICH,
    output: OutputOption = STDOUT,
    fail_on: Annotated[
        Threshold, typer.Option("--fail-on", help="Exit with 1 from this severity on.")
    ] = Threshold.ERROR,
) -> None:
    """Check files before they are delivered; needs no hub and sends nothing anywhere."""
    load_profile(office).format_of(right)
    with TemporaryDirectory(prefix="iphub-validate-") as name, progress.status("Checking …"):
        checked = _Check(office, right, kind, _files(files), Path(name))
        source = checked.run(datetime.now(UTC))
        deliver(WRITERS[format], source, output, Path(name))
    if checked.is_unreadable:
        raise typer.Exit(FAILED)
    counts = dict(source.report.reports[0].findings)
    raise typer.Exit(FINDINGS if fail_on.is_reached(counts) else DONE)


class _Check:
    """One dry run over the files of one delivery."""

    def __init__(
        self, office: str, right: Right, kind: Kind, files: Sequence[StagedFile], directory: Path
    ) -> None:
        self.office, self.right, self.kind = office, right, kind
        self.files, self.directory = files, directory
        self.is_unreadable = False

    def run(self, at: datetime) -> ReportSource:
        """Read, judge and report as intake would; ``at`` is the instant of the check."""
        staging, found = self.directory / "staging", self.directory / "findings.parquet"
        checked = check(self.office, self.right, self.files, staging, at=at)
        staged = checked.staged
        # An empty register: every record is new, and only the delivery itself is compared.
        changes = difference(
            RegisterStore(self.directory / "register"),
            Arriving(
                office=self.office,
                right=self.right,
                kind=self.kind,
                rows=staged.rows,
                removals=staged.removals,
                findings=checked.findings,
                rejected=staged.rejected,
            ),
            self.directory / "plan.parquet",
        )
        # What is to be deleted is unknown to an empty register; that is no fault of the file's.
        note_comparison(
            checked, self.office, self.right, self.kind, dataclasses.replace(changes, unknown=())
        )
        collect_findings(checked, found)
        self.is_unreadable = bool(staged.troubles) or 0 < staged.read == staged.rejected
        arrival = Arrival(
            office=self.office,
            right=self.right,
            kind=self.kind,
            files=tuple(
                ReportedFile(file.name, file.sha256, file.path.stat().st_size)
                for file in self.files
            ),
            receipt=changes.receipt,
        )
        spill = self.directory / "spill"
        return dry_run_report(arrival, FindingsFile(found, temporary=spill), at=at)


def _files(paths: Sequence[Path]) -> list[StagedFile]:
    # A name that is not UTF-8 is shown as the hub keeps it.
    shown = [path.name.encode("utf-8", "backslashreplace").decode() for path in paths]
    names = distinct_names(shown)
    return [_file(path, name) for path, name in zip(paths, names, strict=True)]


def _file(path: Path, name: str) -> StagedFile:
    try:
        with path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as exc:
        raise UnreadableDelivery(f"{path} cannot be read: {exc.strerror}.") from exc
    return StagedFile(name, digest, path)


def write_text(source: ReportSource, path: Path) -> None:
    """Write what a person reads in a terminal: the sum, the rules, a few findings of each."""
    report, findings = source.report.reports[0], source.findings[0]
    with path.open("w", encoding="utf-8") as sink:
        out = Terminal(file=sink, highlight=False, markup=False, emoji=False, width=progress.width)
        out.print(report.headline)
        if report.arrival.receipt:
            out.print(receipt_sum(report.arrival.receipt))
        out.print(report.impact)
        if not report.rules:
            return
        table = Table("severity", "rule", "title", "records", "share", "findings")
        for rule in report.rules:
            counts = f"{rule.records:,}", percent(rule.share), f"{rule.findings:,}"
            table.add_row(rule.severity, rule.ruleCode, rule.title, *counts)
        out.print(table)
        for rule in report.rules:
            out.print(
                f"\n{rule.ruleCode} {rule.title}\n  What to do: {rule.remedy}", soft_wrap=True
            )
            for row in findings.first(rule.ruleCode, EXAMPLES):
                where = f"{row['file']}:{row['line']}" if row["line"] else row["file"]
                number = f"{row['applicationNumber']}: " if row["applicationNumber"] else ""
                out.print(f"  {where}  {number}{row['message']}", soft_wrap=True)
            if rule.findings > EXAMPLES:
                out.print(f"  … and {rule.findings - EXAMPLES:,} more (--format csv, html or json)")


WRITERS: dict[ValidationFormat, Writer] = {
    ValidationFormat.RICH: write_text,
    ValidationFormat.JSON: write_json,
    ValidationFormat.CSV: write_csv,
    ValidationFormat.HTML: write_html,
    ValidationFormat.SARIF: write_sarif,
}
