"""``iphub ledger``: is the audit chain whole?"""

from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from connectors.receipts.sealing import broken_seals
from iphub.context import FormatOption, HomeOption, open_hub
from iphub.output import DONE, FINDINGS, Format, emit

app = typer.Typer(no_args_is_help=True, help="The ledger of decisions.")


@app.callback()
def _group() -> None:
    """Keep ``verify`` a subcommand, also while it is the only one."""


@app.command()
def verify(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """Check that no row of the audit chain and no sealed access receipt was changed or removed.

    The chain proves itself only up to its end: keep the printed head elsewhere, and compare.
    """
    with open_hub(home) as hub:
        broken = hub.ledger.verify()
        head = hub.ledger.audit.head() if broken is None else None
        seals = list(broken_seals(hub.home.receipts, hub.ledger))
    document = {
        "intact": broken is None and not seals,
        "head": asdict(head) if head else None,
        "broken": asdict(broken) if broken else None,
        "brokenSeals": [asdict(seal) for seal in seals],
    }

    def text(out: Console) -> None:
        if broken is not None:
            out.out(f"The audit chain does not hold from row {broken.seq} on: {broken.reason}.")
        elif head is not None:
            out.out(f"The audit chain is whole: {head.seq} rows, head {head.hash}")
        for seal in seals:
            out.out(f"The access receipts of {seal.name} do not hold: {seal.reason}.")

    emit(document, text, format)
    raise typer.Exit(DONE if document["intact"] else FINDINGS)
