"""What every command prints and how it exits: people's text or one JSON document."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from connectors.reports.safe_cells import visible
from ipregister.errors import StoreError

DONE, FINDINGS, FAILED, USAGE = 0, 1, 2, 3
"""Exit codes: done; findings or refusals at the asked threshold; unreadable input or a failed
operation; wrong usage."""


PIPE_COLUMNS = 160


class Format(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


class Terminal(Console):
    """Where people read: a name that an applicant wrote neither rules it nor turns its text."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Show what cannot be seen, in cells of tables, too."""
        return super().render_str(visible(text), **how)


progress = Terminal(stderr=True, highlight=False, emoji=False)
"""Progress and errors for people; standard output carries the answer alone."""


class Log(StringIO):
    """Standard error as what the log is written to: its full disk or ended reader stops nothing."""

    def __init__(self) -> None:
        """Keep the one there is now: Rich puts its own in that place for a while."""
        super().__init__()
        self._written = sys.stderr

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self._written.write(text)
        return len(text)

    def flush(self) -> None:
        """Let it be seen, where it can be."""
        with suppress(OSError):
            self._written.flush()


def emit(document: Mapping[str, Any], text: Callable[[Console], None], format: Format) -> None:
    """Print one answer: ``document`` as JSON, or what ``text`` writes for people."""
    if format is Format.JSON:
        sys.stdout.buffer.write(
            msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        )
        sys.stdout.flush()
    else:
        # Tables are not squeezed into 80 columns when a file or a pipe reads them. What an office
        # wrote stands as it wrote it: ":tm:" is no picture.
        width = None if sys.stdout.isatty() else PIPE_COLUMNS
        text(Terminal(highlight=False, emoji=False, width=width))


def unreadable(path: Path) -> str | None:
    """Return why a file cannot be read, if so; it is not opened, which would be a pipe's end."""
    if path.is_dir():
        return "it is a folder"
    return None if os.access(path, os.R_OK) else "it is not there, or you may not read it"


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """Lend the place of a file that is there whole or not at all, whatever stops us meanwhile.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        if output.exists() and not output.is_file():
            yield output  # a device or a pipe would be gone for good if a file took its place
            return
        target = output.resolve()  # a link stays one
        unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            yield unfinished
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as exc:
        raise StoreError(f"{output} cannot be written: {exc.strerror}.") from exc
