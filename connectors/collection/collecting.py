"""One pass over the offices' SFTP folders with a hub's own stores.

Says which offices there are and how they are reached; visiting them is ``visits``, what is
new and complete is ``collector``'s to say.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from connectors.collection.arrivals import CollectReport
from connectors.collection.collector import Collector
from connectors.collection.pacing import Budget, Patience
from connectors.collection.visits import Visits
from connectors.hub import Hub
from connectors.readers.archives import prove_complete
from connectors.sftp.keys import pinned_keys, private_key
from connectors.sftp.server import last_embedded
from connectors.sftp.session import Address, Login
from connectors.sftp.source import SftpSource, open_source
from ipregister.errors import ConfigurationError, ExchangeError, OfficeRefused
from ipregister.profiles import load_profile, offices


def collect_offices(
    hub: Hub,
    *,
    at: datetime,
    only: Sequence[str] = (),
    wait: bool = False,
    insist: bool = False,
    patience: Patience | None = None,
) -> list[CollectReport]:
    """Take what is new at every office that has a folder on the configured server.

    Args:
        hub: the stores; its settings say where the server is and which keys are pinned.
        at: instant of the pass (UTC).
        only: these offices; all with a folder when empty.
        wait: stay until files that only have to be quiet for a moment were taken too.
        insist: visit also the offices that are in trouble and left alone for now.
        patience: how slow the server may be; the settings' time for a pass when not given.

    Returns:
        One report per office in alphabetical order, also of those left alone.

    Raises:
        ConfigurationError: no server, key or pinned host keys are configured.
    """
    address, login, known_hosts = _configured(hub)
    server = f"{address} {login.key_file} {known_hosts}"
    patience = patience or Patience(pass_seconds=hub.settings.collect_seconds)

    @contextmanager
    def connect(_office: str, budget: Budget) -> Iterator[SftpSource]:
        with open_source(
            address,
            login,
            known_hosts=known_hosts,
            timeout_seconds=patience.answer_seconds,
            budget_seconds=budget.left,
        ) as source:
            yield source

    collector = Collector(hub.ledger, hub.landing, load_profile, prove_complete, patience=patience)
    contacts = hub.ledger.contacts
    visits = Visits(collector, contacts, connect, server=server, patience=patience)
    hub.landing.sweep(at)
    if only:
        return visits.all(sorted(only), at=at, wait=wait, insist=insist)
    known = [contact.asked_of(server) for contact in contacts.all()]
    due = [contact.office for contact in known if insist or contact.is_due(at)]
    if known and not due:
        return visits.all([contact.office for contact in known], at=at)
    try:
        with connect("", Budget(patience.pass_seconds)) as source:
            found = {code for code in source.offices() if code in offices()}
    except OfficeRefused as exc:
        # All offices share the login: one refusal is enough, more could get us locked out.
        return [visits.fail(office, at, exc, refused=True) for office in due or offices()]
    except ExchangeError as exc:
        if not due:
            return [visits.fail(office, at, exc, refused=False) for office in offices()]
        return visits.all(due, at=at, wait=wait, insist=insist)
    # An office whose folder was there before and is not any more is visited, and fails.
    found |= {contact.office for contact in known if contact.succeededAt is not None}
    for contact in known:
        if contact.office not in found:
            contacts.forget(contact.office)
    return visits.all(sorted(found), at=at, wait=wait, insist=insist)


def prove_configured(hub: Hub) -> None:
    """Refuse settings no office could be visited with; nothing to refuse where there are none.

    Raises:
        ConfigurationError: a setting, or the file it names, cannot be used.
    """
    if hub.settings.sftp is not None:
        _, login, known_hosts = _configured(hub)
        pinned_keys(known_hosts)
        if login.key_file is not None:
            private_key(login.key_file)


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
