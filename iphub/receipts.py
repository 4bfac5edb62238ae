"""``iphub receipts``: who read an office's records, from the operator's side."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.receipts.reading import Asked, Receipts
from iphub.context import FormatOption, HomeOption, OfficeOption, open_hub
from iphub.output import Format, emit
from ipregister.model import Right

app = typer.Typer(no_args_is_help=True, help="Access receipts: who read what, and when.")

DAY = ["%Y-%m-%d"]

RightFilter = Annotated[Right | None, typer.Option("--right", help="Only this right.")]
ThirdPartyFilter = Annotated[
    str | None, typer.Option("--third-party", help="Only this third party.")
]
SinceFilter = Annotated[
    datetime | None, typer.Option(formats=DAY, help="Read on this day (UTC) or later.")
]
UntilFilter = Annotated[
    datetime | None, typer.Option(formats=DAY, help="Read before this day (UTC).")
]


@app.command()
def find(
    office: OfficeOption,
    home: HomeOption = Path("hub"),
    record: Annotated[
        str | None, typer.Option(help="Only answers that held this record (recordId).")
    ] = None,
    right: RightFilter = None,
    third_party: ThirdPartyFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    limit: Annotated[int, typer.Option(min=1, help="Receipts at most, newest first.")] = 100,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show the receipts of an office."""
    asked = Asked(office, right, third_party, record, _utc(since), _utc(until))
    with open_hub(home) as hub:
        found = Receipts(hub.home.receipts).find(asked, limit=limit)

    def text(out: Console) -> None:
        table = Table(
            "at (UTC)", "third party", "right", "route", "version", "records", "taken back"
        )
        for one in found:
            done = "" if one.acknowledgedAt is None else f", done {one.acknowledgedAt:%H:%M:%S}"
            taken = f"{one.retracted:,}{done}" if one.retracted else ""
            what = one.snapshotId or f"{one.records:,}"
            version = str(one.authorizationVersion)
            when = f"{one.at:%Y-%m-%d %H:%M:%S}"
            table.add_row(when, one.thirdParty, one.right, one.route, version, what, taken)
        out.print(table if found else "Nobody has read anything that was asked for.")

    emit({"items": [one.document() for one in found]}, text, format)


@app.command()
def usage(
    office: OfficeOption,
    home: HomeOption = Path("hub"),
    right: RightFilter = None,
    third_party: ThirdPartyFilter = None,
    since: SinceFilter = None,
    until: UntilFilter = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show how much each third party read, and what it has yet to drop that was taken back."""
    asked = Asked(office, right, third_party, None, _utc(since), _utc(until))
    with open_hub(home) as hub:
        found = Receipts(hub.home.receipts).usage(asked)

    def text(out: Console) -> None:
        table = Table("third party", "right", "answers", "records", "last (UTC)", "to be dropped")
        for one in found:
            counts = f"{one.answers:,}", f"{one.records:,}"
            last, left = f"{one.lastAt:%Y-%m-%d %H:%M:%S}", f"{one.retractionsOpen:,}"
            table.add_row(one.thirdParty, one.right, *counts, last, left)
        out.print(table if found else "Nobody has read anything that was asked for.")

    emit({"items": [one.document() for one in found]}, text, format)


def _utc(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=UTC)
