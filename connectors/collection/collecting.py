"""One pass over the offices' SFTP folders with a hub's own stores.

Connects once per office, so that trouble with one never delays another. What is new and
complete is ``collector``'s to say.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from connectors.collection.arrivals import CollectReport
from connectors.collection.collector import Collector
from connectors.hub import Hub
from connectors.readers.archives import prove_complete
from connectors.sftp.server import last_embedded
from connectors.sftp.session import Address, Login
from connectors.sftp.source import SftpSource, open_source
from ipregister.errors import ConfigurationError
from ipregister.profiles import load_profile, offices


def collect_offices(
    hub: Hub, *, at: datetime, only: Sequence[str] = (), wait: bool = False
) -> list[CollectReport]:
    """Take what is new at every office that has a folder on the configured server.

    Args:
        hub: the stores; its settings say where the server is and which keys are pinned.
        at: instant of the pass (UTC).
        only: these offices; all with a folder when empty.
        wait: stay until files that only have to be quiet for a moment were taken too.

    Raises:
        ConfigurationError: no server, key or pinned host keys are configured.
        OfficeUnreachable: the server did not answer at all.
        OfficeRefused: the server's key is not the pinned one, or it refused our login.
    """
    address, login, known_hosts = _configured(hub)

    @contextmanager
    def connect(_office: str) -> Iterator[SftpSource]:
        with open_source(address, login, known_hosts=known_hosts) as source:
            yield source

    if not (wanted := list(only)):
        with open_source(address, login, known_hosts=known_hosts) as source:
            wanted = [code for code in source.offices() if code in offices()]
    collector = Collector(hub.ledger, hub.landing, load_profile, prove_complete)
    return collector.collect_each(wanted, connect, at=at, wait=wait)


def _configured(hub: Hub) -> tuple[Address, Login, Path]:
    """Return the configured server, or the embedded one of this home where there was one."""
    settings = hub.settings
    if settings.sftp is None:
        if found := last_embedded(hub.home.root):
            return found
        raise ConfigurationError(
            "No SFTP server is configured: give --sftp sftp://user@host:port or set IPHUB_SFTP."
        )
    if settings.known_hosts is None:
        raise ConfigurationError(
            "No host keys are pinned: give --known-hosts FILE or set IPHUB_KNOWN_HOSTS; "
            "ask the server's operator for its key, do not accept what it shows."
        )
    return Address.parse(settings.sftp), Login(key_file=settings.sftp_key), settings.known_hosts
