"""``iphub dagster``: Dagster's web server and daemon on a hub's home."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from connectors.hub import Hub
from iphub.context import BEHIND_READERS, HomeOption, settings
from iphub.output import DONE, FAILED, Format, emit, progress
from iphub.stopping import asked_to_stop, stop_children


def dagster(
    home: HomeOption = Path("hub"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web page.")] = 3000,
    format: Annotated[Format, typer.Option(help="How to say where it is.")] = Format.TEXT,
) -> None:
    """Show Dagster on loopback, with sensors and schedules live, until Ctrl-C."""
    hub = Hub.open(settings(home))
    hub.close()
    stopped = asked_to_stop()
    process = start_dagster(hub.home.root, port)
    url = f"http://127.0.0.1:{port}"
    progress.print(f"Dagster is on {url} (loopback only: it has no login).")
    try:
        if format is Format.JSON:
            emit({"url": url}, lambda _: None, format)
        while not stopped.wait(1.0):
            if (ended := process.poll()) is not None:
                raise typer.Exit(FAILED if ended else DONE)
    finally:
        stop_children([process])


def start_dagster(
    home: Path,
    port: int,
    *,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start Dagster's web server, daemon and code server as one child process.

    Args:
        home: the hub's home.
        port: of the web page, on loopback.
        environment: more variables, such as ``IPHUB_SFTP``.
        log: file for what it says; the terminal when not given.
    """
    from pipelines.running import prepare_instance  # Dagster takes a second

    variables = os.environ | {
        "IPHUB_HOME": str(home),
        "DAGSTER_HOME": str(prepare_instance(home)),
        **(environment or {}),
    }
    command = [
        "nice",
        "-n",
        str(BEHIND_READERS),
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-m",
        "pipelines.definitions",
    ]
    with ExitStack() as opened:
        sink = opened.enter_context(log.open("wb")) if log else None
        return subprocess.Popen(  # noqa: S603 our own interpreter and module
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            env=variables,
            stdout=sink,
            stderr=subprocess.STDOUT if sink else None,
        )
