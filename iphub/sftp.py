"""``iphub sftp``: the embedded SFTP server, for demos and tests.

Only the command line is here; the server is ``connectors/sftp/server.py``.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connectors.sftp.server import HUB_ACCOUNT, Embedded, embedded
from iphub.output import Format, emit
from iphub.stopping import asked_to_stop
from ipregister.profiles import offices

app = typer.Typer(no_args_is_help=True, help="The embedded SFTP server, for demos and tests.")


@app.callback()
def _group() -> None:
    """Keep ``serve`` a subcommand, also while it is the only one."""


@app.command()
def serve(
    home: Annotated[
        Path, typer.Option(envvar="IPHUB_HOME", help="Directory of the hub; keys are kept there.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 2222,
    root: Annotated[
        Path | None, typer.Option(help="Tree of the ipob_xx folders; HOME/sftp by default.")
    ] = None,
    format: Annotated[Format, typer.Option(help="How to say where to connect.")] = Format.TEXT,
) -> None:
    """Serve the offices' folders on loopback until Ctrl-C."""
    stopped = asked_to_stop()
    with embedded(home, offices(), port=port, root=root) as running:
        emit(describe(running), lambda console: _say(console, running), format)
        stopped.wait()


def describe(running: Embedded) -> dict[str, object]:
    """Return where and how to connect, as a JSON document; it holds the accounts' passwords."""
    server = running.server
    return {
        "url": str(running.address),
        "host": server.host,
        "port": server.port,
        "root": str(server.root),
        "knownHosts": str(running.known_hosts),
        "items": [
            {
                "user": account.user,
                "password": account.password,
                "keyFile": str(running.keys / f"sftp_{account.user}"),
                "writable": account.writable,
            }
            for account in server.accounts.values()
        ],
    }


def _say(console: Console, running: Embedded) -> None:
    server = running.server
    out = console.out
    out(f"SFTP server on {server.host}:{server.port}, tree {server.root}")
    out(f"Host key: {server.fingerprint}, pinned in {running.known_hosts}")
    out(f"\nThe hub collects with:\n  iphub collect --home {running.keys.parent} \\")
    out(f"    --sftp {running.address} --sftp-key {running.login.key_file} \\")
    out(f"    --known-hosts {running.known_hosts}")
    out("\nAn office uploads with, for example:")
    for account in server.accounts.values():
        if account.user == HUB_ACCOUNT:
            continue
        out(
            f"  sftp -P {server.port} -i {running.keys / f'sftp_{account.user}'}"
            f" -o UserKnownHostsFile={running.known_hosts} {account.user}@{server.host}"
            f"    (password {account.password})"
        )
    out("\nCtrl-C stops the server.")
