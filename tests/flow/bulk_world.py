"""A hub behind a real server that prepares files, and clients of third parties."""

import datetime as dt
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

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

TM = Right.TRADEMARKS
NO_PERSONS = frozenset({Disclosure.STAKEHOLDER})
TABLE = "/delta-sharing/shares/KH/schemas/register/tables/trademarks"


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def mark(number: int, applicant: str = "Dara", status: str = "filed") -> ServingRow:
    row = {
        "recordId": f"r{number:03d}",
        "applicationNumber": f"KH/{number:03d}",
        "applicationDate": f"20{number:02d}-01-02",
        "markVerbalElements": [{"text": f"ដំរី {number}", "languageCode": "km"}],
        "applicants": [{"identifier": applicant}],
        "status": status,
    }
    fragments = render_fragments(load_tables()[TM], row)
    number_text = str(row["applicationNumber"])
    return ServingRow(f"r{number:03d}", 1, number_text, fragments, status=status)


class AtOnce(Exports):
    """Prepares in this process what is asked for; a process for each test would take minutes."""

    def start(self) -> None:
        drain(self.serving, self.store, self.receipts)


class Running:
    """A hub behind a real server, and clients of third parties."""

    def __init__(self, root: Path, exports: type[Exports] = AtOnce) -> None:
        self.ledger = Ledger.open(f"sqlite:///{root}/ledger.sqlite", pepper=b"p" * 32)
        self.serving = ServingStore(root / "serving.sqlite")
        self.exports = exports(self.serving.path, ExportStore(root / "exports"), root / "receipts")
        self.receipts = root / "receipts"
        self.deliveries = 0
        config = uvicorn.Config("", port=0, log_level="error", lifespan="off")
        self.socket = config.bind_socket()
        self.socket.listen()  # who asks before the thread runs waits and is not refused
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.service = Service(
            *(self.ledger, self.serving, Cursors(b"k" * 32), self.url, now),
            exports=self.exports,
            receipts=Journal(self.receipts),
        )
        config.app = self.app = create_app(self.service)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],))
        self.thread.start()

    def publish(self, *rows: ServingRow, office: str = "KH") -> None:
        self.deliveries += 1
        delivery = f"D{self.deliveries}"
        self.serving.publish(Publication(delivery, office, TM, now(), rows))

    def share(
        self, withheld: frozenset[Disclosure], name: str = "Acme", office: str = "KH"
    ) -> None:
        self.ledger.authorizations.set(office, name, {TM: withheld}, None, now(), "test")

    def client(self, name: str = "Acme", scope: str = "") -> httpx.Client:
        added, secret = self.ledger.clients.add(name=name, third_party=name, at=now(), by="test")
        form = {"grant_type": "client_credentials", "client_id": added.clientId}
        form |= {"client_secret": str(secret), "scope": scope}
        token = httpx.post(f"{self.url}/oauth2/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=60)
        client.secret = str(secret)  # type: ignore[attr-defined]
        return client

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()
        self.exports.close()
        self.serving.close()
        self.ledger.close()


def query(client: httpx.Client) -> dict[str, Any]:
    """Ask for the files of the table as a Delta Sharing client does; return the only one."""
    answer = client.post(f"{TABLE}/query", json={"limitHint": 5, "predicateHints": ["a = 1"]})
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return lines[2]["file"] | {"headers": answer.headers, "schema": lines[1]["metaData"]}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def acme(hub: Running) -> Iterator[httpx.Client]:
    """A client that may see trademarks of KH without persons, 30 of them."""
    hub.publish(*[mark(number) for number in range(30)])
    with hub.client() as client:
        hub.share(NO_PERSONS)
        yield client
