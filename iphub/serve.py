"""``iphub serve``: the API over one home directory.

Each worker is a process of its own with its own connections; what they share is on disk, so
a token given out by one is known to all. TLS is the affair of the proxy in front.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Annotated, Any

import structlog
import typer
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from api.app import create_app
from api.limits import Limits
from api.service import Service
from connectors.buckets import Buckets
from connectors.counters import forget
from connectors.cursors import Cursors
from connectors.hub import Hub
from connectors.networks import read_networks
from connectors.receipts.journal import Journal
from connectors.settings import Settings
from connectors.views import prepare_views
from iphub.context import HomeOption, settings
from iphub.guarded_http import GuardedHttp
from iphub.output import DONE, Format, Log, emit, progress
from iphub.server_log import SERVER_LOG
from iphub.stopping import Stopped, take_your_time
from ipregister.errors import ConfigurationError
from ipregister.model import load_tables

KEEP_ALIVE_SECONDS = 30
"""Longer than the pause of a client that pages, shorter than proxies' idle limits."""

SWITCH_SECONDS = 0.0001
"""After which a thread that waits for the interpreter is let in: one that reads the next piece of a
stream has to begin while the loop sends the last. Python's own 5 ms is five pieces."""


def serve(
    home: HomeOption = Path("hub"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1)] = 1,
    format: Annotated[Format, typer.Option(help="How to say where it is.")] = Format.TEXT,
) -> None:
    """Serve the API until interrupted."""
    configured = settings(home)
    address = configured.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # Workers are new processes: the environment is how they learn where the hub is.
    os.environ |= {"IPHUB_HOME": str(home.absolute()), "IPHUB_PUBLIC_URL": address}
    # Refuse here, in one sentence, and not in every worker with a traceback.
    hub = Hub.open(configured)
    read_networks(configured.trusted_proxies)
    read_networks(configured.notify_inside)
    prepare_views(hub.ledger, hub.serving, datetime.now(UTC))
    hub.close()
    forget(hub.home.counting)

    def listens() -> None:
        progress.print(f"API at {address}, {workers} worker(s). Ctrl-C stops it.")
        if format is Format.JSON:
            emit({"url": address, "workers": workers}, lambda _: None, format)

    take_your_time()
    try:
        run(host, port, workers, listens)
    except Stopped as exc:
        raise typer.Exit(DONE) from exc  # after the last answer; it was asked to
    except SystemExit as exc:
        if exc.code:  # the server's own, which has logged why: the port is taken, mostly
            raise ConfigurationError(f"nothing can be served at {host}, port {port}") from exc
        raise typer.Exit(DONE) from exc


def run(host: str, port: int, workers: int, listens: Callable[[], None]) -> None:
    """Run the workers; the environment says for which hub. ``listens`` is called once they do."""
    options: dict[str, Any] = {
        "app": "iphub.serve:application",
        "factory": True,
        "host": host,
        "port": port,
        "workers": workers,
        "loop": "uvloop",
        "http": GuardedHttp,
        "ws": "none",  # a WebSocket would leave the guards, and no route is one
        "lifespan": "off",
        # The ledger is the history; one line per request costs a tenth of it.
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # nobody's X-Forwarded-For is believed
        "log_level": "warning",
        "log_config": SERVER_LOG,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    }
    config = uvicorn.Config(**options)
    if workers == 1:
        with suppress(KeyboardInterrupt):  # raised again by uvicorn, after the last answer
            Alone(config, listens).run()
        return
    bound = config.bind_socket()
    try:
        bound.listen(config.backlog)  # who connects while the workers start waits for them
    except OSError as exc:  # another server bound the port, too, and was faster
        raise ConfigurationError(f"nothing can be served at {host}, port {port}: {exc}") from exc
    listens()
    Workers(config, [bound]).run()


class Alone(uvicorn.Server):
    """uvicorn's server in this process, which says when it can be asked."""

    def __init__(self, config: uvicorn.Config, listens: Callable[[], None]) -> None:
        """Prepare to serve; nothing is opened yet."""
        super().__init__(config)
        self._listens = listens

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen, or end this process."""
        await super().startup(sockets)
        self._listens()


class Workers(Multiprocess):
    """uvicorn's processes, which a closed terminal ends; it would start each of them again."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        """Take the signals, but for one that ``nohup`` has ignored: workers ignore it, too."""
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        super().__init__(config, sockets)
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def handle_hup(self) -> None:
        """End as at SIGTERM: who closed the terminal could no longer stop what goes on."""
        self.handle_term()


def application() -> FastAPI:
    """Return the application of the hub the environment names; one per worker."""
    _log_for_operators()
    sys.setswitchinterval(SWITCH_SECONDS)
    load_tables()  # a tenth of a second, which is not the first caller's to wait
    found = Settings()
    return create_app(service(Hub.open(found), found.public_url or "http://127.0.0.1:8000"))


def service(hub: Hub, public_url: str) -> Service:
    """Return what the API needs of an open hub."""
    # By the name it was given: that may be a link, which is turned to another home.
    hub.ledger.watch(hub.settings.home.absolute() / hub.home.serving.name)
    return Service(
        ledger=hub.ledger,
        serving=hub.serving,
        cursors=Cursors(hub.home.pepper()),
        public_url=public_url.rstrip("/"),
        hub=hub,
        receipts=Journal(hub.home.receipts),
        limits=limits(hub),
        keys=hub.signing_keys(),
        environment=hub.settings.environment,
        counting=hub.home.counting,
        proxies=read_networks(hub.settings.trusted_proxies),
        exports=hub.exports(),
        accel_prefix=hub.settings.accel_prefix,
        notify_inside=read_networks(hub.settings.notify_inside),
    )


def limits(hub: Hub) -> Limits:
    """Return what the workers of this host count together."""
    folder, key = hub.home.counting, hub.home.pepper()
    folder.mkdir(exist_ok=True)  # homes from before there were limits have none
    return Limits(
        quotas=Buckets(folder / "quotas", key=key),
        # Strangers choose these names: more room, and a place of their own.
        failures=Buckets(folder / "failures", key=key, sets=8_192),
        requests=hub.settings.requests_per_minute,
        rows=hub.settings.rows_per_minute,
    )


def _log_for_operators() -> None:
    """Log one JSON object per line, with the time, on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(Log()),
    )
