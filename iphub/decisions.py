"""Commands of who decides about a delivery: look at it, release, withdraw, announce a purge.

What a hold says is ``ipregister.holds``; the exchange history and handing in are
``deliveries``.
"""

import csv
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from connectors.hub import Hub
from connectors.ledger import Delivery, PurgeApproval
from connectors.reports.safe_cells import for_csv
from iphub.context import (
    AnyOfficeOption,
    ByOption,
    FormatOption,
    HomeOption,
    OfficeOption,
    RightOption,
    open_hub,
)
from iphub.deliveries import one_line, table
from iphub.output import Format, emit, whole
from ipregister.deliveries import State, decided_from

app = typer.Typer(no_args_is_help=True, help="Look at one delivery, and decide one that is held.")

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.")]


@app.command()
def show(
    delivery_id: str, home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT
) -> None:
    """Show one delivery: why it is held, and everything that happened to it."""
    with open_hub(home) as hub:
        delivery = hub.ledger.deliveries.get(delivery_id)
        events = hub.ledger.deliveries.events(delivery_id)
        approval = hub.ledger.purges.of(delivery_id)
    at = datetime.now(UTC)
    document = delivery.document(at) | {
        "purgeApproval": approval and approval.document(),
        "events": [event.document() for event in events],
    }

    def text(out: Console) -> None:
        table(out, [delivery])
        if delivery.hold is not None:
            _tell_hold(out, delivery, delivery.hold, at)
        if approval is not None:
            _tell_approval(out, approval)
        for event in events:
            when = f"{event.at:%Y-%m-%d %H:%M:%S} UTC"
            out.print(when, event.state, "by", event.actor, event.reason or "", markup=False)

    emit(document, text, format)


@app.command()
def missing(
    delivery_id: str,
    home: HomeOption = Path("hub"),
    output: Annotated[
        Path | None, typer.Option("--output", help="Write here instead of to the terminal.")
    ] = None,
) -> None:
    """List as CSV every record that would disappear with a held delivery."""
    from connectors.missing_records import missing_batches

    with open_hub(home) as hub:
        hub.ledger.deliveries.get(delivery_id)
        found = missing_batches(hub, delivery_id)
        if output is None:
            sink = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
            try:
                _write_csv(found, sink)
            finally:
                sink.detach()
        else:
            with whole(output) as place, place.open("w", encoding="utf-8", newline="") as sink:
                _write_csv(found, sink)


def _write_csv(found: Iterator[list[dict[str, Any]]], sink: Any) -> None:
    writer = csv.writer(sink)
    writer.writerow(("applicationNumber", "recordId", "applicationDate"))
    for batch in found:
        writer.writerows([for_csv(value) for value in row.values()] for row in batch)


@app.command()
def release(
    delivery_id: str,
    by: ByOption,
    home: HomeOption = Path("hub"),
    reason: ReasonOption = "",
    format: FormatOption = Format.TEXT,
) -> None:
    """Let a held delivery take effect; `iphub process` then publishes it."""
    _decide(delivery_id, State.CHECKING, by, reason, home, format)


@app.command()
def withdraw(
    delivery_id: str,
    by: ByOption,
    home: HomeOption = Path("hub"),
    reason: ReasonOption = "",
    format: FormatOption = Format.TEXT,
) -> None:
    """Take back a delivery that is held or incomplete; the register stays as it is."""
    _decide(delivery_id, State.WITHDRAWN, by, reason, home, format)


@app.command()
def revert(
    delivery_id: str,
    by: ByOption,
    reason: ReasonOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Take a published delivery back: register and readers as if it had never come."""
    from pipelines.reverting import revert as take_back

    with open_hub(home) as hub:
        delivery = take_back(hub, delivery_id, by=by, reason=reason, at=datetime.now(UTC))

    def text(out: Console) -> None:
        counts = ", ".join(f"{name} {n:,}" for name, n in (delivery.reversal or {}).items())
        out.print(f"{delivery.deliveryId} counts no more: {counts}", markup=False)

    emit(delivery.document(), text, format)


@app.command("approve-purge")
def approve_purge(
    office: OfficeOption,
    right: RightOption,
    up_to: Annotated[int, typer.Option("--up-to", min=1, help="Records that may disappear.")],
    by: ByOption,
    reason: ReasonOption,
    home: HomeOption = Path("hub"),
    until: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%d"], help="Last day (UTC); 30 days from now."),
    ] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Announce a purge: ONE delivery may remove so many records without being held for it."""
    with open_hub(home) as hub:
        approval = hub.ledger.purges.approve(
            office,
            right,
            up_to=up_to,
            at=datetime.now(UTC),
            by=by,
            reason=reason,
            until=until.date() if until else None,
        )
    emit(approval.document(), lambda out: _tell_approval(out, approval), format)


@app.command("withdraw-purge")
def withdraw_purge(
    approval_id: Annotated[int, typer.Argument(help="As `purge-approvals` lists it.")],
    office: OfficeOption,
    by: ByOption,
    reason: ReasonOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Take an announced purge back that no delivery has used yet."""
    with open_hub(home) as hub:
        approval = hub.ledger.purges.withdraw(
            office, approval_id, at=datetime.now(UTC), by=by, reason=reason
        )
    emit(approval.document(), lambda out: _tell_approval(out, approval), format)


@app.command("purge-approvals")
def purge_approvals(
    home: HomeOption = Path("hub"),
    office: AnyOfficeOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List announced purges, newest first, and the deliveries that used them."""
    with open_hub(home) as hub:
        found = hub.ledger.purges.list(office)

    def text(out: Console) -> None:
        for approval in found:
            _tell_approval(out, approval)
        if not found:
            out.print("No purge was announced.")

    emit({"items": [approval.document() for approval in found]}, text, format)


def _decide(delivery_id: str, to: State, by: str, reason: str, home: Path, format: Format) -> None:
    with open_hub(home) as hub:
        delivery = decide(hub, delivery_id, to, by=by, reason=reason, at=datetime.now(UTC))
    emit(delivery.document(), lambda out: one_line(out, delivery), format)


def decide(
    hub: Hub, delivery_id: str, to: State, *, by: str, reason: str, at: datetime
) -> Delivery:
    """Release (``checking``) or withdraw a delivery, with the reason in its history."""
    expected = decided_from(hub.ledger.deliveries.get(delivery_id).state, to)
    word = "released" if to is State.CHECKING else "withdrawn"
    told = f"{word} by {by}" + (f": {reason.strip()}" if reason.strip() else "")
    return hub.ledger.deliveries.move(delivery_id, to, at, by, reason=told, expected=expected)


def _tell_hold(out: Console, delivery: Delivery, hold: Mapping[str, Any], at: datetime) -> None:
    urgency = delivery.escalation(at)
    held = "Held" if urgency else "Was held"
    out.print(f"{held} ({', '.join(hold['codes'])})", markup=False)
    out.print(
        f"  had {hold['had']:,} · in this file {hold['inThisFile']:,} · "
        f"would disappear {hold['wouldDisappear']:,}",
        markup=False,
    )
    if urgency:
        out.print(f"  {urgency.in_words}", markup=False)
        decide_it = f"iphub delivery release|withdraw {delivery.deliveryId}"
        out.print(f"  decide: {decide_it} --by NAME --reason WHY", markup=False)
    for field in hold["droppedFields"]:
        out.print(f"  {field['field']}: {field['from']:.0%} → {field['to']:.0%}", markup=False)
    for year in hold["years"]:
        out.print(
            f"  {year['year'] or 'no date'}: {year['wouldDisappear']:,} of {year['had']:,}",
            markup=False,
        )
    if hold["samples"]:
        out.print(f"  would disappear: {', '.join(hold['samples'])}", markup=False)
        out.print(f"  all of them: iphub delivery missing {delivery.deliveryId}", markup=False)


def _tell_approval(out: Console, approval: PurgeApproval) -> None:
    if approval.usedBy:
        used = f"used by {approval.usedBy}"
    elif approval.withdrawnAt:
        used = f"taken back by {approval.withdrawnBy}"
    elif approval.until < datetime.now(UTC).date():
        used = f"ended unused on {approval.until}"
    else:
        used = f"open until {approval.until}"
    out.print(
        f"Announced purge {approval.approvalId}: {approval.office} {approval.right}, up to "
        f"{approval.upTo:,} records, by {approval.approvedBy} ({approval.reason}); {used}",
        markup=False,
    )
