"""What every command shares: the home, the answer's format, and how trouble is told."""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from getpass import getuser
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
import typer
from pydantic import ValidationError

from connectors.hub import Hub
from connectors.settings import Settings, read_env_file
from iphub.output import FAILED, USAGE, Format, Log, progress
from iphub.stopping import stopping_first
from ipregister.errors import ConfigurationError, HubError, InvalidRequest
from ipregister.model import Right
from ipregister.profiles import offices

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="IPHUB_HOME", help="Directory of the hub.", show_default=True),
]
FormatOption = Annotated[Format, typer.Option("--format", help="For people, or one JSON document.")]


def _office(value: str | None) -> str | None:
    if value is None:
        return None
    if (code := value.upper()) not in offices():
        raise typer.BadParameter(
            f"{value!r} is no office of this hub; one of {', '.join(offices())}."
        )
    return code


OfficeOption = Annotated[
    str, typer.Option("--office", help="ST.3 code of the office, such as KH.", callback=_office)
]
AnyOfficeOption = Annotated[
    str | None, typer.Option("--office", help="Only this office (ST.3 code).", callback=_office)
]
OwnerOfficeOption = Annotated[
    str | None, typer.Option("--office", help="Whose it is (ST.3 code).", callback=_office)
]
RightOption = Annotated[Right, typer.Option("--right", help="Which right the records are of.")]


def _somebody(value: str) -> str:
    # A step in the ledger has an actor; an empty shell variable is nobody.
    if not value.strip():
        raise typer.BadParameter("say who decides.")
    return value.strip()


ByOption = Annotated[
    str, typer.Option("--by", help="Who decides; kept in the ledger.", callback=_somebody)
]


def whoever_runs_this() -> str:
    """Return the name the ledger gives an actor who says none."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user often is a number only; the type is Python's
        return f"uid {os.getuid()}"


def settings(home: Path, **given: Any) -> Settings:
    """Return the settings of a command: environment, ``--home`` and other options that were given.

    Raises:
        ConfigurationError: a variable has a value it may not have, which is not repeated: one of
            them holds a password.
    """
    try:
        return Settings(home=home, **given)
    except ValidationError as exc:
        wrong = [_wrong(str(error["loc"][0]), error["msg"]) for error in exc.errors()]
        raise ConfigurationError(
            f"{'; '.join(wrong)}. Settings are variables of the environment or lines of .env; "
            "docs/runbook.md lists them."
        ) from None


def _wrong(name: str, said: str) -> str:
    """Return what is wrong with a setting; an example says more than the pattern it must match."""
    example = Settings.model_fields[name].examples
    return f"IPHUB_{name.upper()}: {f'write it as {example[0]}' if example else said}"


NO_ROOM = ("No space left on device", "disk is full", "disk I/O error")
"""How DuckDB, Delta and SQLite say that a disk is full: no number of it is common to their errors.
SQLite says the last where its index in shared memory has no room."""

_NOT_WRITTEN = "The disk is full or fails. Nothing is lost: make room, then try again"

NOT_ALLOWED = ("readonly database", "unable to open database file", "Permission denied")
"""How SQLite and Delta say that a file, or the directory it is to be made in, is another user's."""

TOO_LITTLE = "Out of Memory Error"
"""How DuckDB says that it may take no more memory."""

_MORE_MEMORY = "Give a query more memory: raise IPHUB_MEMORY_LIMIT, then try again"

_AS_ITS_USER = "Run commands as the user the hub belongs to, who must be allowed to do this"

_ANOTHERS = (
    "A file of the hub may not be written: run commands as the user it belongs to, and let that "
    "user write all of them, also those that end in -wal and -shm"
)
"""SQLite makes these two as its database is: they stay read-only when it alone is made writable."""

_THEN = {
    errno.EROFS: "Mount it for writing: every command writes in the hub's home",
    errno.EACCES: _AS_ITS_USER,
    errno.EPERM: _AS_ITS_USER,
}
"""What to do where the system's own words name the place, which may be the hub's or another."""

BEHIND_READERS = 10
"""Nice value of processes that publish: readers share the cores with them, and wait for nobody
(their p99 rose to three times its value beside a writer of the same priority)."""


def yield_to_readers() -> None:
    """Let this process, and what it starts, take only what processor time readers leave."""
    os.nice(max(0, BEHIND_READERS - os.nice(0)))


@contextmanager
def open_hub(home: Path) -> Iterator[Hub]:
    """Lend the stores of an existing hub for one command."""
    hub = Hub.open(settings(home))
    try:
        yield hub
    finally:
        hub.close()


def _log_for_people() -> None:
    """Show the steps of deliveries as progress, and whatever is wrong, on standard error."""

    def render(_logger: object, _name: str, event: MutableMapping[str, Any]) -> str:
        if event["event"] == "delivery_finished":
            return f"  {event['delivery_id']} {event['state']}"
        if event["level"] == "info":  # the command itself says what it did
            raise structlog.DropEvent
        return msgspec.json.encode(event).decode()

    structlog.configure(
        processors=[structlog.processors.add_log_level, render],
        logger_factory=structlog.PrintLoggerFactory(Log()),
    )


def run(app: Callable[[], object]) -> None:
    """Run the command line; trouble becomes one sentence and an exit code."""
    _log_for_people()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal of another encoding (TIS-620) has no Khmer letter, and Python would end there.
        sys.stdout.reconfigure(errors="backslashreplace")
    # Said at import by the installed Dagster about its own decorator; nothing for users.
    warnings.filterwarnings("ignore", message="Parameter `owners`")
    try:
        read_env_file()
        with stopping_first():
            app()
    except SystemExit as exc:
        # Typer ends with 2 when it was called wrongly; 2 is our word for a failed operation.
        if exc.code == FAILED and not isinstance(exc.__context__, typer.Exit):
            # What was wrong with the call is the context; Typer told people already.
            said = getattr(exc.__context__, "format_message", None)
            _answer("usage", said() if said else "wrong usage", {})
            raise SystemExit(USAGE) from exc
        if isinstance(exc.__context__, BrokenPipeError):
            # Who reads went away, as `head` does; Typer's 1 would say that there are findings.
            raise SystemExit(FAILED) from exc
        raise
    except HubError as exc:
        # Whole sentences say themselves what to do; others repeat what a library said.
        what_to_do = None if exc.detail.endswith(".") else _surroundings(exc)
        _tell(exc.code, f"{exc.detail}. {what_to_do}" if what_to_do else exc.detail, exc.context)
        raise SystemExit(USAGE if isinstance(exc, InvalidRequest) else FAILED) from exc
    except OSError as exc:
        where = f" ({exc.filename})" if exc.filename else ""
        # Those of Delta and Arrow have no number, only words of their own.
        said = f"{exc.strerror or str(exc) or type(exc).__name__}{where}"
        full = any(words in str(exc) for words in NO_ROOM)
        then = f"{said}. {_THEN[exc.errno]}" if exc.errno in _THEN else said
        _tell("file_system", f"{_NOT_WRITTEN} ({said})" if full else then, {})
        raise SystemExit(FAILED) from exc
    except Exception as exc:  # Python's own end is 1, which says that there are findings
        if what_to_do := _surroundings(exc):
            code = "memory" if what_to_do == _MORE_MEMORY else "file_system"
            _tell(code, f"{what_to_do} ({type(exc).__name__}: {exc})", {})
        else:
            traceback.print_exception(exc)
            told = f"{type(exc).__name__}: a fault of the hub, told on standard error"
            _answer("internal", told, {})
        raise SystemExit(FAILED) from exc


def _surroundings(exc: Exception) -> str | None:
    """Return what to do where disk, memory or a file's owner is the cause, and no fault of ours."""
    if any(words in str(exc) for words in NO_ROOM):
        return _NOT_WRITTEN
    if TOO_LITTLE in str(exc):
        return _MORE_MEMORY
    return _ANOTHERS if any(words in str(exc) for words in NOT_ALLOWED) else None


def _answer(code: str, detail: str, context: Mapping[str, str]) -> None:
    """Answer a program that asked for JSON; people are told on standard error."""
    if not {"json", "--format=json"}.isdisjoint(sys.argv):
        # A path may hold a name that is not UTF-8, and what asked for JSON would get none.
        told = {"detail": detail, **context}.items()
        shown = {name: text.encode("utf-8", "backslashreplace").decode() for name, text in told}
        problem = {"error": {"code": code, **shown}}
        with suppress(OSError):  # what is wrong may be that nothing can be written there
            sys.stdout.buffer.write(msgspec.json.encode(problem) + b"\n")


def _tell(code: str, detail: str, context: Mapping[str, str]) -> None:
    _answer(code, detail, context)
    with suppress(OSError, SystemExit):  # the code says it, where people cannot be told
        progress.print(f"{code}: {detail}", style="red", markup=False)
