"""The command ``iphub report``: the quality report an office reads."""

import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from connectors.reports.documents import write_json
from connectors.reports.pages import write_html
from connectors.reports.sources import ReportSource, office_report
from connectors.reports.tables import write_csv, write_xlsx
from iphub.context import HomeOption, OfficeOption, open_hub
from iphub.output import progress, whole
from ipregister.model import Right

STDOUT = Path("-")

OutputOption = Annotated[
    Path, typer.Option("--output", help="File to write; - is standard output.", dir_okay=False)
]
Writer = Callable[[ReportSource, Path], None]


class ReportFormat(StrEnum):
    """What an office reads the report with."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"


WRITERS: dict[ReportFormat, Writer] = {
    ReportFormat.HTML: write_html,
    ReportFormat.JSON: write_json,
    ReportFormat.CSV: write_csv,
    ReportFormat.XLSX: write_xlsx,
}


def report(
    office: OfficeOption,
    home: HomeOption = Path("hub"),
    right: Annotated[
        Right | None, typer.Option("--right", help="One right; all the office sends otherwise.")
    ] = None,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="A page, data, or a work list.")
    ] = ReportFormat.HTML,
    output: OutputOption = STDOUT,
) -> None:
    """Write an office's quality report: its last deliveries, with every finding."""
    if output == STDOUT and format is ReportFormat.XLSX and sys.stdout.isatty():
        raise typer.BadParameter("A workbook is no text: give a file.", param_hint="--output")
    with (
        open_hub(home) as hub,
        # In the hub's own directory: nothing is written outside it.
        TemporaryDirectory(prefix=".report-", dir=hub.home.root) as temporary,
        progress.status("Writing the report …"),
    ):
        now = datetime.now(UTC)
        source = office_report(hub, office, right, at=now, temporary=Path(temporary))
        deliver(WRITERS[format], source, output, Path(temporary))
    if output != STDOUT:
        progress.print(f"The report is in {output}.", markup=False)


def deliver(writer: Writer, source: ReportSource, output: Path, temporary: Path) -> None:
    """Write a report whole or not at all.

    Args:
        writer: of the asked format.
        source: the report and its findings.
        output: where to; ``-`` is standard output.
        temporary: a directory for the unfinished report.

    Raises:
        StoreError: ``output`` cannot be written.
    """
    made = temporary / "report"
    writer(source, made)
    if output == STDOUT:
        with made.open("rb") as finished:
            shutil.copyfileobj(finished, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with whole(output) as place, made.open("rb") as finished, place.open("wb") as sink:
        shutil.copyfileobj(finished, sink)
