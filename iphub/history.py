"""``iphub history``: what was, what changed, why a record is not here, where a field came from."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.history.absence import why as reasons
from connectors.history.lineage import lineage_of
from connectors.history.points import identifier_of, point_of
from connectors.history.states import changes_between, record_as_of, register_as_of
from connectors.history.versions import versions_of
from iphub.context import FormatOption, HomeOption, OfficeOption, RightOption, open_hub
from iphub.output import DONE, FINDINGS, Format, emit

app = typer.Typer(
    no_args_is_help=True,
    help="Ask the register's history. Time is the time of knowing: what the hub had published at "
    "an instant. A point is a delivery (when it was published), a date (its end) or an instant.",
)

Number = Annotated[str, typer.Argument(help="Application number, or recordId.")]
Limit = Annotated[int, typer.Option(min=1, max=2**31, help="Records listed at most.")]


@app.command()
def record(
    number: Number,
    office: OfficeOption,
    right: RightOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Show every version of one record, in the office's order."""
    with open_hub(home) as hub:
        record_id = identifier_of(office, right, number)
        found = versions_of(hub, office, right, record_id)

    def text(out: Console) -> None:
        if not found:
            out.print(f"No delivery brought {number}; iphub history why says more.", markup=False)
        _versions(out, found)

    emit({"recordId": record_id, "items": found}, text, format)
    raise typer.Exit(DONE if found else FINDINGS)


@app.command()
def changes(
    office: OfficeOption,
    right: RightOption,
    start: Annotated[str, typer.Option("--from", help="A point: delivery, date or instant.")],
    end: Annotated[str, typer.Option("--to", help="Another point.")],
    home: HomeOption = Path("hub"),
    limit: Limit = 100,
    after: Annotated[str, typer.Option(help="The last recordId of the page before.")] = "",
    format: FormatOption = Format.TEXT,
) -> None:
    """Show what is different at one point from another."""
    with open_hub(home) as hub:
        points = [point_of(hub, office, right, said) for said in (start, end)]
        found = changes_between(hub, office, right, *points, limit=limit, after=after)

    def text(out: Console) -> None:
        out.print(", ".join(f"{count:,} {name}" for name, count in found["counts"].items()))
        _table(out, found["items"])
        if found["after"]:
            out.print(f"There are more: add --after {found['after']}, or a higher --limit.")

    emit(found, text, format)


@app.command("as-of")
def as_of(
    at: Annotated[str, typer.Argument(help="A point: delivery, date or instant.")],
    office: OfficeOption,
    right: RightOption,
    number: Annotated[str | None, typer.Option(help="Only this record, with its content.")] = None,
    output: Annotated[Path | None, typer.Option(help="Parquet file for all records.")] = None,
    home: HomeOption = Path("hub"),
    limit: Limit = 20,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show the register as it stood at a point."""
    with open_hub(home) as hub:
        point = point_of(hub, office, right, at)
        if number is None:
            found: dict[str, Any] | None = register_as_of(
                hub, office, right, point, limit=limit, output=output
            )
        else:
            record_id = identifier_of(office, right, number)
            found = record_as_of(hub, office, right, record_id, point)
    if found is None:
        emit({"at": point.at, "record": None}, lambda out: out.print("It was not there."), format)
        raise typer.Exit(FINDINGS)

    def text(out: Console) -> None:
        if number is not None:
            out.print(f"As delivery {found['deliveryId']} brought it:", markup=False)
            out.print(bytes(found["record"]).decode(), markup=False, soft_wrap=True)
            return
        out.print(f"{found['records']:,} records at {found['at']:%Y-%m-%d %H:%M:%S} UTC")
        _table(out, found["items"])
        if found["more"]:
            listed = len(found["items"])
            out.print(f"These are the first {listed:,}: --limit lists more, --output writes all.")

    emit(found, text, format)


@app.command()
def why(
    number: Number,
    office: OfficeOption,
    right: RightOption,
    third_party: Annotated[
        str | None, typer.Option("--third-party", help="In whose eyes, if in somebody's.")
    ] = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Say why a record is here, or why it is not."""
    with open_hub(home) as hub:
        now = datetime.now(UTC)
        found = reasons(hub, office, right, number, third_party=third_party, at=now)

    def text(out: Console) -> None:
        out.print(found["sentence"], markup=False)
        _table(out, found["findings"] or found["places"])
        _versions(out, found["versions"])

    emit(found, text, format)
    raise typer.Exit(DONE if found["verdict"] == "visible" else FINDINGS)


@app.command()
def lineage(
    number: Number,
    office: OfficeOption,
    right: RightOption,
    field: Annotated[str | None, typer.Option(help="Such as applicants[0].names.")] = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Show where a record or a field stands in what the office sent, and the line itself."""
    with open_hub(home) as hub:
        record_id = identifier_of(office, right, number)
        found = lineage_of(hub, office, right, record_id, field)
    if found is None:
        emit({"recordId": record_id, "source": None}, lambda out: out.print("No version of it."),
             format)  # fmt: skip
        raise typer.Exit(FINDINGS)

    def text(out: Console) -> None:
        member = f" {found['member']}" if found["member"] else ""
        out.print(f"{found['file']}{member}, line {found['line']}", markup=False)
        out.print(f"delivery {found['deliveryId']}, landing {found['sha256']}", markup=False)
        if found["elementPath"]:
            out.print(found["elementPath"], markup=False)
        out.print(found["text"].strip(), markup=False, soft_wrap=True)

    emit(found, text, format)


def _versions(out: Console, found: list[dict[str, Any]]) -> None:
    if not found:
        return
    table = Table("delivery", "recorded", "what", "cause", "classes", "notes")
    for each in found:
        notes = [word for word in ("held", "reverted") if each[word]]
        if each["amendedBy"]:
            notes.append(f"since {each['amendedBy']} came")
        table.add_row(
            each["deliveryId"], f"{each['recordedAt']:%Y-%m-%d %H:%M:%S}", each["op"],
            each["cause"], ", ".join(each["changedClasses"]), ", ".join(notes),
        )  # fmt: skip
    out.print(table)


def _table(out: Console, items: list[dict[str, Any]]) -> None:
    if not items:
        return
    table = Table(*items[0])
    for each in items:
        table.add_row(*map(_in_words, each.values()))
    out.print(table, markup=False)


def _in_words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
