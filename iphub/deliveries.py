"""Commands about deliveries: init, submit, process, the exchange history.

What a person decides about one delivery is ``decisions``.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.hub import Hub
from connectors.ledger import Channel, DeliveredFile, Delivery, DeliveryQuery
from connectors.submitting import Package, check_lane
from connectors.submitting import submit as submit_package
from iphub.context import (
    AnyOfficeOption,
    FormatOption,
    HomeOption,
    OfficeOption,
    RightOption,
    open_hub,
    settings,
    whoever_runs_this,
    yield_to_readers,
)
from iphub.output import DONE, FINDINGS, Format, emit, progress, unreadable
from iphub.stopping import stoppable
from ipregister.deliveries import Kind, State
from ipregister.errors import UnreadableDelivery
from ipregister.folders import FolderVisit
from ipregister.model import Right

WELCOME = """The hub is in {home}. Next:
  iphub submit FILE --office KH --right trademarks --kind update --home {home}
  iphub process --home {home}
  iphub serve --home {home}"""

REFUSED = frozenset({State.REJECTED, State.HELD, State.INCOMPLETE})
"""States after which a command exits with 1: the office has something to do."""


def init(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """Create an empty hub: ledger, landing, register, keys. Again changes nothing."""
    hub = Hub.create(settings(home))
    hub.close()
    document = {"home": str(hub.home.root)}
    emit(document, lambda out: out.print(WELCOME.format(home=hub.home.root)), format)


def submit(
    files: Annotated[list[Path], typer.Argument(help="Files of one delivery.")],
    office: OfficeOption,
    right: RightOption,
    kind: Annotated[Kind, typer.Option("--kind", help="What the files are.")],
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Hand in local files as ONE delivery, as SFTP or the API would."""
    check_lane(office, right)
    for path in files:
        if why := unreadable(path):  # before the first one is taken
            raise UnreadableDelivery(f"{path} cannot be read: {why}. Nothing was taken.")
    with open_hub(home) as hub:
        landed = [(path, hub.landing.put_file(path)) for path in files]
        delivered = tuple(
            DeliveredFile(path.name, file.sha256, file.bytes) for path, file in landed
        )
        package = Package(office, right, kind, Channel.LOCAL, delivered)
        delivery = submit_package(hub.ledger, package, at=datetime.now(UTC), by=whoever_runs_this())
    emit(delivery.document(), lambda out: one_line(out, delivery), format)


def process(
    home: HomeOption = Path("hub"),
    office: AnyOfficeOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Run every waiting delivery through the Dagster jobs, until none waits."""
    from pipelines.expecting import reading_expected

    yield_to_readers()
    with open_hub(home) as hub, reading_expected(hub, office):
        # Importing Dagster takes a second, too: the other processor's turn to do the same.
        from pipelines.running import process_until_idle

        with progress.status("Reading, checking, publishing …"):
            done = stoppable(lambda: process_until_idle(hub, office))
        finished = [hub.ledger.deliveries.get(name) for name in done]
    document = {"items": [delivery.document() for delivery in finished]}
    emit(document, lambda out: table(out, finished), format)
    raise typer.Exit(FINDINGS if any(d.state in REFUSED for d in finished) else DONE)


def deliveries(
    home: HomeOption = Path("hub"),
    office: AnyOfficeOption = None,
    right: Annotated[Right | None, typer.Option("--right", help="Only this right.")] = None,
    state: Annotated[
        list[State] | None, typer.Option("--state", help="Only in this state; may be repeated.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            help="Only what arrived on this day or at this time (UTC) or later.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"],
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show the exchange history, newest first, and what in SFTP folders is no part of it."""
    wanted = DeliveryQuery(
        office=office,
        right=right,
        states=state or None,
        since=since and since.replace(tzinfo=UTC),
        limit=limit,
    )
    with open_hub(home) as hub:
        found = hub.ledger.deliveries.search(wanted)
        contacts = hub.ledger.contacts.all()
    at = datetime.now(UTC)
    folders = [c.folder for c in contacts if c.folder and office in (None, c.office)]

    def say(out: Console) -> None:
        table(out, found, at)
        for folder in folders:
            _say_folder(out, folder)

    document = {
        "items": [delivery.document(at) for delivery in found],
        "sftpFolders": {"items": [folder.document() for folder in folders]},
    }
    emit(document, say, format)


def _say_folder(out: Console, folder: FolderVisit) -> None:
    """Print what in an office's SFTP folder is in no delivery: nobody else tells the office."""
    out.print(f"{folder.office}: {folder.in_words}", markup=False)
    for line in folder.lines():
        out.print(f"  {line}", markup=False)


def one_line(out: Console, delivery: Delivery) -> None:
    """Print what a delivery is and where it stands."""
    reason = f": {delivery.reason}" if delivery.reason else ""
    what = (delivery.deliveryId, delivery.office, delivery.right, delivery.kind, delivery.state)
    out.print(f"{' '.join(what)}{reason}", markup=False)


def table(out: Console, found: Sequence[Delivery], at: datetime | None = None) -> None:
    """Print deliveries with their receipts, and the reasons of those that have one."""
    rows = Table(
        "delivery",
        "right",
        "kind",
        "state",
        "read",
        "accepted",
        "held",
        "rejected",
        "unchanged",
        "dupl.",
        "findings",
    )
    for delivery in found:
        receipt, findings = delivery.receipt, delivery.findings or {}
        counts = (
            [
                f"{n:,}"
                for n in (
                    receipt.recordsRead,
                    receipt.accepted,
                    receipt.held,
                    receipt.rejected,
                    receipt.unchanged,
                    receipt.duplicates,
                )
            ]
            if receipt
            else [""] * 6
        )
        told = " ".join(f"{count:,} {name}" for name, count in findings.items() if count)
        rows.add_row(
            delivery.deliveryId, delivery.right, delivery.kind, delivery.state, *counts, told
        )
    out.print(rows if found else "No deliveries.")
    for delivery in found:
        if delivery.reason:
            out.print(f"{delivery.deliveryId}: {delivery.reason}", markup=False)
        if delivery.revertedAt:
            told = f"reverted by {delivery.revertedBy}; it counts no more"
            out.print(f"{delivery.deliveryId}: {told}", markup=False)
        if at is not None and (urgency := delivery.escalation(at)) and urgency.level:
            out.print(f"{delivery.deliveryId}: {urgency.in_words}", markup=False)
