"""``iphub collect``: one pass over the offices' folders into the landing zone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from connectors.collection.arrivals import CollectReport
from connectors.collection.collecting import collect_offices
from connectors.hub import Hub
from iphub.context import AnyOfficeOption, FormatOption, HomeOption, settings
from iphub.output import DONE, FAILED, FINDINGS, Format, emit, progress
from ipregister.deliveries import State

NAMES = 10
"""An office that sends each record as a file of its own would fill the screen with its names."""


def collect(
    home: HomeOption = Path("hub"),
    sftp: Annotated[
        str | None, typer.Option(help="Server, sftp://user@host:port; IPHUB_SFTP otherwise.")
    ] = None,
    sftp_key: Annotated[
        Path | None, typer.Option(help="Our private key; IPHUB_SFTP_KEY otherwise.")
    ] = None,
    known_hosts: Annotated[
        Path | None,
        typer.Option(help="Pinned host keys, as OpenSSH writes them; IPHUB_KNOWN_HOSTS otherwise."),
    ] = None,
    office: AnyOfficeOption = None,
    wait: Annotated[
        bool,
        typer.Option(help="Wait for files that were seen for the first time to stay unchanged."),
    ] = True,
    format: FormatOption = Format.TEXT,
) -> None:
    """Fetch what is new and complete in the offices' folders; nothing is changed there."""
    options: dict[str, Any] = {"sftp": sftp, "sftp_key": sftp_key, "known_hosts": known_hosts}
    given = {name: value for name, value in options.items() if value is not None}
    hub = Hub.open(settings(home, **given))
    try:
        with progress.status("Looking into the offices' folders …"):
            # Who names an office, a server, a key or its host key wants to know now whether it
            # works: what failed before may have failed for want of it.
            reports = collect_offices(
                hub,
                at=datetime.now(UTC),
                only=[office] if office else (),
                wait=wait,
                insist=office is not None or bool(given),
            )
    finally:
        hub.close()
    emit({"items": [r.document() for r in reports]}, lambda out: _say(out, reports), format)
    raise typer.Exit(_code(reports))


def _code(reports: list[CollectReport]) -> int:
    if any(report.error is not None for report in reports):
        return FAILED
    unfinished = any(
        delivery.state is State.INCOMPLETE for report in reports for delivery in report.deliveries
    )
    refused = unfinished or any(report.quarantined for report in reports)
    return FINDINGS if refused else DONE


def _say(out: Console, reports: list[CollectReport]) -> None:
    _say_failures(out, reports)
    for report in reports:
        for delivery in report.deliveries:
            names = _some([file.name for file in delivery.files])
            told = f": {delivery.reason}" if delivery.reason else ""
            what = (delivery.deliveryId, delivery.right, delivery.kind, delivery.state)
            out.print(f"{' '.join(what)}{told}  ({names})", markup=False)
        for waiting in report.waiting:
            files = _some(waiting.files)
            out.print(f"{report.office}: not taken yet, {waiting.reason}: {files}", markup=False)
        alone: dict[str, list[str]] = {}
        for problem in report.quarantined:
            alone.setdefault(problem.reason, []).append(problem.path)
        for reason, paths in alone.items():
            out.print(f"{report.office}: left alone, {reason}: {_some(paths)}", markup=False)
    looked_at = [report for report in reports if report.visited and report.error is None]
    if looked_at and not any(report.deliveries for report in looked_at):
        out.print(f"Nothing new at {len(looked_at)} offices.")


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - NAMES
    told = ", ".join(names[:NAMES])
    return f"{told} and {more:,} more (--format json)" if more > 0 else told


def _say_failures(out: Console, reports: list[CollectReport]) -> None:
    """Say each trouble once, with the offices that have it and what happens next."""
    troubles: dict[str, list[CollectReport]] = {}
    for report in reports:
        if report.error is not None:
            troubles.setdefault(report.error, []).append(report)
    for error, failed in troubles.items():
        names = ", ".join(report.office for report in failed)
        out.print(f"{names}: {error}", style="red", markup=False)
        for contact in [report.contact for report in failed if report.contact]:
            if contact.failingSince is None or contact.nextAttemptAt is None:
                continue
            out.print(
                f"  {contact.office} fails since {contact.failingSince:%Y-%m-%d %H:%M} UTC"
                f" ({contact.failures}x); next attempt not before"
                f" {contact.nextAttemptAt:%Y-%m-%d %H:%M} UTC, or at once with"
                f" iphub collect --office {contact.office}",
                markup=False,
            )
