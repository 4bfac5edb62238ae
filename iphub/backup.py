"""``iphub backup`` and ``iphub restore``: a whole home in one file, and back."""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.backup.archive import Contents
from connectors.backup.homes import back_up
from connectors.backup.homes import restore as restore_home
from iphub.context import FormatOption, HomeOption, open_hub, settings
from iphub.output import Format, emit, progress, unreadable
from ipregister.errors import UnreadableBackup

KEYS_INSIDE = (
    "The file holds the hub's keys: whoever has it can read every record and forge cursors and "
    "secrets. It is readable by you alone (mode 0600); keep it that way where you put it."
)


def backup(
    output: Annotated[Path, typer.Option(help="File to write, or a directory to write one in.")],
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Back up a hub while it is at work: one consistent state of all stores, in one file."""
    started, at = perf_counter(), datetime.now(UTC)
    with open_hub(home) as hub, progress.status("Copying all stores …"):
        made = back_up(hub, output, at=at)
    seconds = perf_counter() - started
    document = _document(made.path, made.contents, seconds)

    def text(out: Console) -> None:
        _table(out, made.contents)
        size = made.path.stat().st_size
        out.print(f"{made.path}: {size:,} bytes in {seconds:.1f} s.", markup=False)
        out.print(f"RPO: what is published after {made.contents.cut_at} is not in it.")
        out.print("RTO: restoring copies and proves the same bytes; `iphub restore` says how long.")
        out.print(KEYS_INSIDE, style="bold red")

    emit(document, text, format)


def restore(
    file: Annotated[Path, typer.Argument(help="What `iphub backup` wrote.")],
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Make a new home from a backup; every byte is proven, a damaged backup is refused."""
    if why := unreadable(file):
        raise UnreadableBackup(f"{file} cannot be read: {why}. Nothing was restored.")
    started, at = perf_counter(), datetime.now(UTC)
    with progress.status("Restoring and proving every file …"):
        made = restore_home(file, settings(home), at=at)
    seconds = perf_counter() - started
    lost = at - datetime.fromisoformat(made.contents.cut_at)
    document = _document(home.resolve(), made.contents, seconds)
    document |= {"rtoSeconds": round(seconds, 3), "rpoSeconds": round(lost.total_seconds(), 3)}

    def text(out: Console) -> None:
        _table(out, made.contents)
        out.print(f"RTO: {home.resolve()} was restored in {seconds:.1f} s.", markup=False)
        out.print(f"RPO: it is as of {made.contents.cut_at}, {lost} ago.")
        out.print(f"Next: iphub ledger verify, iphub process, iphub serve (--home {home}).")

    emit(document, text, format)


def _document(path: Path, contents: Contents, seconds: float) -> dict[str, Any]:
    stores = {
        name: {"files": count, "bytes": size} for name, (count, size) in contents.by_store().items()
    }
    return {
        "path": str(path),
        "cutAt": datetime.fromisoformat(contents.cut_at),
        "bytes": contents.bytes,
        "seconds": round(seconds, 3),
        "stores": stores,
    }


def _table(out: Console, contents: Contents) -> None:
    table = Table("store", "files", "bytes")
    for name, (count, size) in contents.by_store().items():
        table.add_row(name, f"{count:,}", f"{size:,}")
    out.print(table)
