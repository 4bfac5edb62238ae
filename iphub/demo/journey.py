"""The demo's journey: invented files in a tree, collected, processed, shared, reported.

Everything runs through the doors people use; what is invented is ``tree``'s. What the
terminal shows is ``command``'s.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from connectors.collection.collecting import collect_offices
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.reports.pages import write_html
from connectors.reports.sources import office_report
from connectors.settings import Settings
from connectors.sftp.server import Embedded, embedded
from iphub.demo.manifest import DemoManifest
from iphub.demo.offices import OFFICES
from iphub.demo.tree import generate
from iphub.stopping import stoppable
from ipregister.deliveries import Receipt
from ipregister.errors import ConfigurationError
from ipregister.model import Disclosure, Right
from ipregister.quality import Severity

MARKER = "demo.json"
"""A home with this file is a demo's, and may be made anew."""

DEMO_OPERATOR = "demo"

CODES = tuple(office.code for office in OFFICES)

THIRD_PARTIES: dict[str, dict[str, frozenset[Disclosure]]] = {
    "Example Patent Office": {code: frozenset() for code in CODES},
    "Example Search Service": {
        code: frozenset({Disclosure.STAKEHOLDER, Disclosure.STATUS_CHANGE, Disclosure.EXAMINATION})
        for code in ("KH", "TH")
    },
}
"""Two third parties: one sees everything, one neither people, nor status, nor examination."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demo made: deliveries, credentials, reports."""

    home: Path
    manifest: DemoManifest
    deliveries: list[Delivery]
    clients: dict[str, tuple[str, str]]
    reports: dict[str, Path]


def prepare_home(home: Path) -> None:
    """Empty a demo's own home; refuse any other directory that holds something.

    Raises:
        ConfigurationError: the directory is not a demo's.
    """
    if (home / MARKER).exists():
        shutil.rmtree(home)
    elif home.exists() and any(home.iterdir()):
        raise ConfigurationError(
            f"{home} is not empty and not a demo's; give another --home or remove it."
        )
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / MARKER).write_text("{}\n", "utf-8")


def travel(home: Path, say: Callable[[str], None]) -> tuple[Demo, Embedded]:
    """Take the invented deliveries the whole way; the SFTP server stays up.

    Args:
        home: an empty directory, see ``prepare_home``.
        say: told what happens next, one line each.

    Returns:
        What was made, and the running server, which the caller stops.
    """
    from pipelines.running import process_until_idle  # Dagster takes a second

    say(f"Inventing the registers of {', '.join(CODES)} …")
    manifest = generate(home / "sftp")
    server = embedded(home, CODES, root=home / "sftp")
    server.__enter__()
    settings = Settings(
        home=home,
        sftp=str(server.address),
        sftp_key=server.login.key_file,
        known_hosts=server.known_hosts,
    )
    hub = Hub.create(settings)
    try:
        say(f"Collecting {len(manifest.files)} files from the offices' folders by SFTP …")
        reports = collect_offices(hub, at=_now(), wait=True)
        arrived = sum(len(report.deliveries) for report in reports)
        say(f"Reading, checking and publishing {arrived} deliveries with Dagster …")
        stoppable(lambda: process_until_idle(hub))
        say("Authorizing two third parties …")
        clients = _authorize(hub)
        say("Writing the offices' quality reports …")
        written = _write_reports(hub)
        deliveries = hub.ledger.deliveries.list()
    except BaseException:
        server.__exit__(None, None, None)
        raise
    finally:
        hub.close()
    return Demo(home, manifest, deliveries, clients, written), server


def _now() -> datetime:
    return datetime.now(UTC)


def _authorize(hub: Hub) -> dict[str, tuple[str, str]]:
    clients = {}
    for name, offices in THIRD_PARTIES.items():
        client, secret = hub.ledger.clients.add(
            name=name, third_party=name, at=_now(), by=DEMO_OPERATOR, public_jwk=None
        )
        clients[name] = (client.clientId, secret or "")
        for office, withheld in offices.items():
            hub.ledger.authorizations.set(
                office, name, dict.fromkeys(Right, withheld), None, at=_now(), by=DEMO_OPERATOR
            )
    return clients


def _write_reports(hub: Hub) -> dict[str, Path]:
    directory = hub.home.root / "reports"
    directory.mkdir(exist_ok=True)
    written = {}
    with TemporaryDirectory(prefix=".report-", dir=hub.home.root) as temporary:
        for office in CODES:
            source = office_report(hub, office, None, at=_now(), temporary=Path(temporary))
            written[office] = directory / f"{office}.html"
            write_html(source, written[office])
    return written


FATES = ("accepted", "held", "rejected", "unchanged", "duplicates")
"""What becomes of a record that was received: one of these."""

SEVERITIES = tuple(map(str, Severity))


def summary(deliveries: list[Delivery]) -> list[dict[str, Any]]:
    """Return per office and right: records received, what became of them, findings."""
    totals: dict[tuple[str, str], dict[str, Any]] = {}
    for delivery in sorted(deliveries, key=lambda d: (d.office, d.right)):
        row = totals.setdefault(
            (delivery.office, delivery.right),
            {"office": delivery.office, "right": str(delivery.right)}
            | dict.fromkeys(("deliveries", "received", *FATES, *SEVERITIES), 0),
        )
        receipt, findings = delivery.receipt or Receipt(), delivery.findings or {}
        row["deliveries"] += 1
        row["received"] += receipt.recordsRead
        for name in FATES:
            row[name] += getattr(receipt, name)
        for name in SEVERITIES:
            row[name] += findings.get(name, 0)
    return list(totals.values())


def write_document(demo: Demo, *, api: str, dagster: str) -> dict[str, Any]:
    """Write ``demo.json``: addresses, credentials, what was ingested; return it."""
    document = {
        "home": str(demo.home),
        "api": api,
        "dagster": dagster,
        "sftpTree": str(demo.home / "sftp"),
        "clients": [
            {"thirdParty": name, "clientId": identifier, "clientSecret": secret}
            for name, (identifier, secret) in demo.clients.items()
        ],
        "reports": {office: str(path) for office, path in demo.reports.items()},
        "items": summary(demo.deliveries),
        "deliveries": [delivery.document() for delivery in demo.deliveries],
        "faults": len(demo.manifest.faults),
    }
    path = demo.home / MARKER
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return document
