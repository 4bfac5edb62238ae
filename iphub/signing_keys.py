"""``iphub signing-key``: the keys with which the hub signs; others verify at ``/oauth2/jwks``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.signing_keys import KEEP_PUBLISHED, SigningKey
from iphub.context import FormatOption, HomeOption, open_hub
from iphub.output import Format, emit

app = typer.Typer(no_args_is_help=True, help="The keys with which the hub signs.")


@app.command("list")
def list_all(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """List the keys, oldest first; the last one signs."""
    with open_hub(home) as hub:
        keys = hub.signing_keys().all()
    _emit(keys, format)


@app.command()
def rotate(
    keep_days: Annotated[
        int, typer.Option(min=0, help="How long the present key is still published.")
    ] = KEEP_PUBLISHED.days,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Sign with a new key from now on; what the present one signed can still be verified."""
    with open_hub(home) as hub:
        hub.signing_keys().rotate(datetime.now(UTC), timedelta(days=keep_days))
        keys = hub.signing_keys().all()
    _emit(keys, format)


def _emit(keys: list[SigningKey], format: Format) -> None:
    def text(out: Console) -> None:
        table = Table("Key", "Since", "Published", box=None)
        for key in keys:
            until = key.publishedUntil
            state = "signs now" if until is None else f"until {until:%Y-%m-%d}"
            table.add_row(key.kid, f"{key.createdAt:%Y-%m-%d}", state)
        out.print(table, markup=False)

    emit({"items": [key.document() for key in keys]}, text, format)
