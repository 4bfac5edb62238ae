"""A third party's client at a hub in this process; loaded by ``conftest.py``."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from fastapi.testclient import TestClient

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.exports.builder import drain
from connectors.exports.preparing import Exports
from connectors.exports.store import ExportStore
from connectors.ledger import Ledger
from connectors.receipts.journal import Journal
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow, ServingStore
from ipregister.model import Disclosure, Right, load_tables

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
TM = Right.TRADEMARKS


class Waiting(Exports):
    """Prepares nothing until it is told to."""

    def start(self) -> None:
        """Leave it in the queue."""

    def prepare(self) -> None:
        """Prepare what waits."""
        drain(self.serving, self.store, self.receipts)


@dataclass
class ThirdParties:
    """A hub, and the clients of its third parties; ``http`` is the one of Acme."""

    ledger: Ledger
    serving: ServingStore
    exports: Waiting
    service: Service
    http: TestClient
    numbers: Any = field(default_factory=count)

    def share(self, *withheld: Disclosure, name: str = "Acme") -> None:
        """Share trademarks of KH."""
        rights: Mapping[Right, frozenset[Disclosure]] = {TM: frozenset(withheld)}
        self.ledger.authorizations.set("KH", name, rights, None, NOW, "test")

    def publish(self, *rows: ServingRow, gone: tuple[str, ...] = ()) -> None:
        """Publish trademarks of KH."""
        vanished = [(record_id, 1) for record_id in gone]
        delivery = f"D-{next(self.numbers)}"
        self.serving.publish(Publication(delivery, "KH", TM, NOW, rows, vanished))

    def login(self, name: str = "Acme") -> dict[str, str]:
        """Return the headers of a new client."""
        client, secret = self.ledger.clients.add(name=name, third_party=name, at=NOW, by="test")
        form = {"grant_type": "client_credentials", "client_id": client.clientId}
        stranger = TestClient(self.http.app)  # without the other's token
        token = stranger.post("/oauth2/token", data=form | {"client_secret": str(secret)}).json()
        return {"Authorization": f"Bearer {token['access_token']}"}

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Read."""
        return self.http.get(path, headers=headers)

    def close(self) -> None:
        """Close everything."""
        self.http.close()
        self.serving.close()
        self.ledger.close()


def open_hub(folder: Path) -> ThirdParties:
    """Return a hub with nothing in it."""
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(folder / "serving.sqlite")
    exports = Waiting(serving.path, ExportStore(folder / "exports"), folder / "receipts")
    service = Service(
        *(ledger, serving, Cursors(b"k" * 32), "http://hub.test", lambda: NOW),
        exports=exports,
        receipts=Journal(folder / "receipts"),
    )
    http = TestClient(create_app(service), raise_server_exceptions=False)
    hub = ThirdParties(ledger, serving, exports, service, http)
    http.headers.update(hub.login())
    return hub


def mark(record_id: str, **values: Any) -> ServingRow:
    """Return a trademark, whose identifier is its number where nothing else is said."""
    row = {"recordId": record_id, "officeCode": "KH", "right": TM} | values
    number = str(values.get("applicationNumber", record_id))
    return ServingRow(
        *(record_id, 1, number, render_fragments(load_tables()[TM], row)),
        applicationNumber=number,
        status=values.get("status"),
        searchText=" ".join(text["text"] for text in values.get("markVerbalElements", ())),
    )
