"""The command ``iphub``: one module per command group, put together here.

A module is loaded when its command is called: loading all of them took a process as long as
processing an update (1.2 s of CPU, the API's framework among it).
"""

import gc
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

NEW_OBJECTS = 50_000
"""Objects after which Python looks for cycles among them. Loading modules makes hundreds of
thousands that stay; looking through them after every 700 took a seventh of a command's start."""

COMMANDS = {
    "init": "deliveries:init",
    "demo": "demo.command:demo",
    "collect": "collect:collect",
    "submit": "deliveries:submit",
    "process": "deliveries:process",
    "deliveries": "deliveries:deliveries",
    "delivery": "decisions:app",
    "third-party": "third_parties:app",
    "office-client": "office_clients:app",
    "client": "clients:app",
    "signing-key": "signing_keys:app",
    "authorization": "authorizations:app",
    "receipts": "receipts:app",
    "certificate": "certificates:app",
    "history": "history:app",
    "ledger": "ledger:app",
    "sftp": "sftp:app",
    "serve": "serve:serve",
    "dagster": "dagster_ui:dagster",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "digest": "maintenance:digest",
    "maintain": "maintenance:maintain",
    "rebuild-serving": "maintenance:rebuild_serving",
    "notify": "notify:notify",
    "query": "query:query",
    "validate": "validate:validate",
    "report": "report:report",
    "reprocess": "reprocess:reprocess",
}
"""Every command, in the order of ``--help``: module of this room, and what in it."""


class _Commands(Mapping[str, Any]):
    """The commands by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        module, _, member = COMMANDS[name].partition(":")
        found = getattr(import_module(f"iphub.{module}"), member)
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(name)(found)
            command = get_command(alone)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments | {"commands": _Commands()})


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="ASEAN IP Data Hub: collect the offices' registers, tell each office what is wrong, "
    "share what it allows.",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"iphub {version('asean-ip-hub')}")
        raise typer.Exit


@app.callback()
def _hub(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Say which this is."),
    ] = False,
) -> None:
    """Say that there are commands, though none is loaded yet."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(NEW_OBJECTS)
    from iphub.stopping import STOPPED, Stopped, stop_on_signals, tell

    stop_on_signals()
    try:
        from iphub.context import run

        run(app)
    except Stopped:
        tell(STOPPED)
        raise
