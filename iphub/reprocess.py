"""``iphub reprocess``: derive the register again, after a change of mapping or rules."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from iphub.context import AnyOfficeOption, FormatOption, HomeOption, open_hub, whoever_runs_this
from iphub.output import Format, emit, progress
from ipregister.model import Right
from pipelines.rederived import Reprocessed
from pipelines.reprocessing import reprocess as read_again


def reprocess(
    home: HomeOption = Path("hub"),
    office: AnyOfficeOption = None,
    right: Annotated[Right | None, typer.Option("--right", help="Only this right.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Read what was received again and publish what mapping and rules say differently now."""
    done: list[Reprocessed] = []
    with open_hub(home) as hub, progress.status("Reading again …"):
        for wanted in [right] if right else list(Right):
            for each in hub.register.offices(wanted):
                if office in (None, each):
                    done += read_again(
                        hub, each, wanted, by=whoever_runs_this(), clock=lambda: datetime.now(UTC)
                    )
    emit({"items": [asdict(each) for each in done]}, lambda out: _say(out, done), format)


def _say(out: Console, done: Sequence[Reprocessed]) -> None:
    table = Table("delivery", "right", "changed", "read before with", "now with")
    for each in done:
        table.add_row(each.deliveryId, each.right, f"{each.changes:,}", each.before or "", each.now)
    out.print(table if done else "Nothing was received yet.")
