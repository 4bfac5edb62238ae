"""``iphub demo``: the whole hub on loopback with invented offices, shown to whoever asks."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.sftp.server import Embedded
from iphub.context import settings
from iphub.dagster_ui import start_dagster
from iphub.demo.journey import (
    CODES,
    FATES,
    SEVERITIES,
    Demo,
    prepare_home,
    travel,
    write_document,
)
from iphub.output import Format, emit, progress
from iphub.stopping import asked_to_stop, stop_children
from ipregister.errors import ConfigurationError

QUESTION = '"SELECT office, count(*) FROM trademarks GROUP BY ALL"'


def demo(
    home: Annotated[
        Path, typer.Option("--home", help="Directory of the demo; made anew every time.")
    ] = Path(".iphub/demo"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API.")] = 8000,
    once: Annotated[
        bool, typer.Option("--once", help="Make the journey, write demo.json, and stop.")
    ] = False,
    format: Annotated[Format, typer.Option("--format", help="How to answer.")] = Format.TEXT,
) -> None:
    """Run the hub with invented offices: collect, check, publish, share, report."""
    home = home.resolve()
    if settings(home).ledger_url:
        raise ConfigurationError(
            "IPHUB_LEDGER_URL names the ledger of a hub, and the demo invents deliveries and "
            "decisions: unset it first."
        )
    prepare_home(home)
    port = port if once else _free_port(port)
    ui_port = _free_port(port + 1)
    made, server = travel(home, lambda line: progress.print(f"• {line}"))
    try:
        document = write_document(
            made, api=f"http://127.0.0.1:{port}", dagster=f"http://127.0.0.1:{ui_port}"
        )
        emit(document, lambda out: _say(out, made, document, once=once), format)
        if not once:
            _stay_up(home, server, port, ui_port)
    finally:
        server.__exit__(None, None, None)


def _stay_up(home: Path, server: Embedded, port: int, ui_port: int) -> None:
    """Serve API and Dagster until Ctrl-C, then stop everything we started."""
    sftp = {
        "IPHUB_SFTP": str(server.address),
        "IPHUB_SFTP_KEY": str(server.login.key_file),
        "IPHUB_KNOWN_HOSTS": str(server.known_hosts),
    }
    stopped = asked_to_stop()
    command = [sys.executable, "-m", "iphub", "serve", "--home", str(home), "--port", str(port)]
    children = [
        subprocess.Popen(command),  # noqa: S603 our own interpreter and module
        start_dagster(home, ui_port, environment=sftp, log=home / "dagster.log"),
    ]
    try:
        while not stopped.wait(1.0):
            if ended := [child for child in children if child.poll() is not None]:
                progress.print(f"{ended[0].args!r} ended; stopping the rest.", markup=False)
                break
    finally:
        stop_children(children)


def _say(out: Console, made: Demo, document: dict[str, Any], *, once: bool) -> None:
    _table(out, document)
    api = document["api"]
    iphub = "iphub" if shutil.which("iphub") else str(Path(sys.executable).with_name("iphub"))
    serve = f"{iphub} serve --home {made.home} --port {api.rpartition(':')[2]}"
    by_hand = [
        f"  {iphub} sftp serve --home {made.home}  (in another terminal: the demo's has ended)",
        f"  {iphub} collect --home {made.home}",
        f"  {iphub} process --home {made.home}",
    ]
    lines = [
        "",
        f"Somsak, data manager of an office: open {made.reports[CODES[0]]}",
        f"  (and {', '.join(CODES[1:])} beside it)",
        f"  {iphub} deliveries --home {made.home} --office KH",
        f"  {iphub} report --home {made.home} --office TH --format html --output th.html",
        f"  drop a file below {document['sftpTree']}/ipob_kh/Trademarks/Updates"
        + (", then" if once else ": it is collected in 15 s"),
        *(by_hand if once else []),
        "",
        "Ms Lim, who authorises sharing:",
        f"  {iphub} authorization show --home {made.home} --office KH "
        '--third-party "Example Search Service"',
        f"  {iphub} authorization revoke --home {made.home} --office TH "
        '--third-party "Example Search Service"',
        "",
        "A third party's engineer" + (f" (first: {serve})" if once else "") + ":",
        *(f"  {_curl(api, client)}" for client in document["clients"]),
        "",
        "Coordinator and operator:",
        f"  {iphub} query --home {made.home} {QUESTION}",
        f"  {iphub} ledger verify --home {made.home}",
        f"  {iphub} dagster --home {made.home}" if once else f"  Dagster: {document['dagster']}",
        "",
        f"{document['faults']} faults were planted on purpose; docs/demo.md lists them.",
    ]
    for line in lines:
        out.out(line, highlight=False)
    if not once:
        out.out("\nCtrl-C stops everything.")


def _curl(api: str, client: dict[str, str]) -> str:
    token = (
        f"curl -s -u {client['clientId']}:{client['clientSecret']} "
        f"-d grant_type=client_credentials {api}/oauth2/token"
    )
    cut = """sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'"""
    page = f"{api}/v1/offices/KH/trademarks/records?limit=2"
    return f'curl -s -H "Authorization: Bearer $({token} | {cut})" "{page}"'


def _table(out: Console, document: dict[str, Any]) -> None:
    rare = {"unchanged", "duplicates"}
    fates = [fate for fate in FATES if fate not in rare or any(r[fate] for r in document["items"])]
    columns = ("received", *fates, *SEVERITIES)
    table = Table("office", "right", *columns)
    for row in document["items"]:
        table.add_row(row["office"], row["right"], *(f"{row[name]:,}" for name in columns))
    out.print(table)


def _free_port(wanted: int) -> int:
    """Return the first free port on loopback from ``wanted`` on."""
    for port in range(wanted, min(wanted + 100, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    return wanted
