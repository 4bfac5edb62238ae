"""``iphub dagster``: Dagster's web server and daemon on a hub's home."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.collection.collecting import prove_configured
from connectors.hub import Hub
from connectors.networks import read_networks
from iphub.context import BEHIND_READERS, HomeOption, settings
from iphub.output import FAILED, Format, emit, progress
from iphub.stopping import asked_to_stop, stop_children
from ipregister.errors import ConfigurationError

LOOKED_AFTER_SECONDS = 15.0

ANSWERED_SECONDS = 15.0
"""For one answer of the web server; with tests' pause between two looks a busy machine had none."""

SET_BACK_SECONDS = 60.0
"""Less is what keeping a clock right takes; sensors wait no longer than that."""

_LOADED = """
{ workspaceOrError { ... on Workspace {
    locationEntries { name locationOrLoadError { __typename } } } } }
"""

_RELOAD = """
mutation ($name: String!) {
    reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }
"""


def dagster(
    home: HomeOption = Path("hub"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web page.")] = 3000,
    format: Annotated[Format, typer.Option(help="How to say where it is.")] = Format.TEXT,
) -> None:
    """Show Dagster on loopback, with sensors and schedules live, until Ctrl-C."""
    hub = Hub.open(settings(home))
    hub.close()
    # Refuse here, in one sentence, and not at each look of a sensor with a traceback.
    prove_configured(hub)
    read_networks(hub.settings.notify_inside)
    clock = Clock()
    if _is_taken(port):
        # Dagster's own web server says so and stays, with a second daemon at the same home.
        raise ConfigurationError(
            f"Port {port} is taken, perhaps by another `iphub dagster`: one is enough for a hub. "
            "For a second hub choose another port: --port"
        )
    stopped = asked_to_stop()
    process = start_dagster(hub.home.root, port)
    url = f"http://127.0.0.1:{port}"
    progress.print(f"Dagster is on {url} (loopback only: it has no login).")
    try:
        if format is Format.JSON:
            emit({"url": url}, lambda _: None, format)
        threading.Thread(target=look_after, args=(port, stopped), daemon=True).start()
        while not stopped.wait(1.0):
            if process.poll() is not None:
                # One of its processes died, or has no port: Dagster calls that success.
                progress.print("Dagster ended by itself. Nothing is lost: start it again.")
                raise typer.Exit(FAILED)
            if clock.was_set_back():
                # Sensors would wait until it is as late again as they have seen it.
                progress.print("The clock was set back. Nothing is lost: start Dagster again.")
                raise typer.Exit(FAILED)
    finally:
        stop_children([process])


class Clock:
    """Sees that the machine's clock was set back, also after it had been ahead for a while."""

    def __init__(self, of_day: Callable[[], float] = time.time) -> None:
        """Compare ``of_day`` with seconds that only grow."""
        self._of_day = of_day
        self._ahead = self._difference()

    def was_set_back(self) -> bool:
        """Tell whether it is behind what it showed before."""
        difference = self._difference()
        self._ahead = max(self._ahead, difference)
        return difference < self._ahead - SET_BACK_SECONDS

    def _difference(self) -> float:
        return self._of_day() - time.monotonic()


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def look_after(port: int, stopped: threading.Event) -> None:
    """Have Dagster load our code again where the process that had loaded it was killed.

    Dagster watches its other processes; without this one no sensor and no schedule works.
    """
    while not stopped.wait(LOOKED_AFTER_SECONDS):
        try:
            for entry in _ask(port, _LOADED)["workspaceOrError"]["locationEntries"]:
                if entry["locationOrLoadError"]["__typename"] == "PythonError":
                    progress.print("Dagster has lost the hub's code; it is loaded again.")
                    _ask(port, _RELOAD, name=entry["name"])
        except (OSError, HTTPException, ValueError, KeyError, TypeError):
            continue  # it starts, or is busy: the next look will tell


def _ask(port: int, query: str, **variables: str) -> dict[str, Any]:
    """Return what Dagster's web server on loopback answers."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=ANSWERED_SECONDS)) as connection:
        body = json.dumps({"query": query, "variables": variables})
        connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        data: dict[str, Any] = json.load(connection.getresponse())["data"]
        return data


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
    from pipelines.run_history import forget_what_is_ahead  # Dagster takes a second
    from pipelines.running import prepare_instance

    if forget_what_is_ahead(directory := prepare_instance(home), datetime.now(UTC)):
        progress.print("The clock was ahead when Dagster ran last; its sensors begin anew.")
    variables = os.environ | {
        "IPHUB_HOME": str(home),
        "DAGSTER_HOME": str(directory),
        # Nothing that lies where the command was started is taken for a module of Dagster's.
        "PYTHONSAFEPATH": "1",
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
