"""The third parties' Python client against the real API."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from asean_ip_hub_client import (
    Hub,
    HubError,
    HubProblem,
    PrivateKey,
    Replica,
    Synced,
    verify_notification,
)
from asean_ip_hub_client.changes import Change, Page
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from standardwebhooks import Webhook

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.ledger import Ledger
from connectors.receipts.journal import Journal
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow, ServingStore
from ipregister.model import Disclosure, Right, load_tables

TM = Right.TRADEMARKS
NO_STAKEHOLDER = frozenset({Disclosure.STAKEHOLDER})


@dataclass
class Office:
    """A real hub on loopback and the credentials of one third party's client."""

    url: str
    client_id: str
    secret: str
    ledger: Ledger
    serving: ServingStore
    deliveries: int = 0

    def rebuild(self) -> None:
        """Let publications be others than before, as in a store rebuilt from the register."""
        self.serving._reader().execute("PRAGMA query_only = OFF")
        self.serving._reader().execute("UPDATE publication SET n_core = n_core + 40")

    def share(self, *withheld: Disclosure) -> None:
        rights: dict[Right, frozenset[Disclosure]] = {TM: frozenset(withheld)}
        self.ledger.authorizations.set("KH", "Acme", rights, None, datetime.now(UTC), "test")

    def publish(self, *numbers: str, word: str = "LUMATIVA", gone: tuple[str, ...] = ()) -> None:
        self.deliveries += 1
        rows = [trademark(number, word) for number in numbers]
        vanished = [(number, 1) for number in gone]
        name, now = f"D-{self.deliveries}", datetime.now(UTC)
        self.serving.publish(Publication(name, "KH", TM, now, rows, vanished))


def trademark(number: str, word: str) -> ServingRow:
    name = number.replace("/", "")
    row: dict[str, Any] = {"recordId": name, "officeCode": "KH", "right": "trademarks"}
    row |= {"applicationNumber": number, "markVerbalElements": [{"text": word}]}
    row |= {"applicants": [{"names": [{"text": "Veldara Co., Ltd."}]}], "status": "registered"}
    fragments = render_fragments(load_tables()[TM], row)
    return ServingRow(name, 1, number, fragments, applicationNumber=number, status="registered")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(tmp_path / "serving.sqlite")
    add = ledger.clients.add
    client, secret = add(name="one", third_party="Acme", at=datetime.now(UTC), by="test")
    app = create_app(
        Service(ledger, serving, Cursors(b"k" * 32), url, receipts=Journal(tmp_path / "receipts"))
    )
    runner = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    yield Office(url, client.clientId, str(secret), ledger, serving)
    runner.should_exit = True
    thread.join(10)
    serving.close()
    ledger.close()


@pytest.fixture
def hub(office: Office) -> Iterator[Hub]:
    with Hub(office.url, office.client_id, office.secret) as hub:
        yield hub


def test_three_lines_end_in_a_data_frame(office: Office) -> None:
    office.share()
    office.publish("KH/1/2026", "KH/2/2026")
    hub = Hub(office.url, office.client_id, office.secret)
    frame = hub.records("KH", "trademarks").to_pandas()
    assert list(frame["applicationNumber"]) == ["KH/1/2026", "KH/2/2026"]
    hub.close()


def test_records_come_page_by_page_with_filters(office: Office, hub: Hub) -> None:
    office.share()
    office.publish(*(f"KH/{number}/2026" for number in range(1, 8)))
    pages = hub.records("KH", "trademarks", page_size=3).pages()
    assert [len(page) for page in pages] == [3, 3, 1]
    (found,) = hub.records("KH", "trademarks", applicationNumber="kh/5/2026")
    assert hub.record("KH", "trademarks", found["recordId"]) == found
    assert len(list(hub.records("KH", "trademarks", status=["filed", "registered"]))) == 7
    assert not list(hub.records("KH", "trademarks", status=["filed", "expired"]))
    assert hub.records("KH", "trademarks", status="registered").count() == 7
    assert hub.records("KH", "trademarks", status="expired").count(estimate=True) == 0
    turned = hub.records("KH", "trademarks", page_size=3, sort="-applicationNumber")
    assert list(turned) == list(hub.records("KH", "trademarks"))[::-1]
    with pytest.raises(HubProblem, match="not_found"):  # a name is one step of the path, no more
        list(hub.records("LA/../KH", "trademarks"))


def test_a_limit_is_refused_instead_of_ignored(hub: Hub) -> None:
    with pytest.raises(ValueError, match="page_size"):
        hub.records("KH", "trademarks", limit=5)


def test_the_client_knows_who_it_is_and_who_shares(office: Office, hub: Hub) -> None:
    office.share(Disclosure.STAKEHOLDER)
    office.publish("KH/1/2026")
    assert hub.me()["thirdParty"] == "Acme"
    (shared,) = hub.offices()
    assert shared["rights"][0]["records"] == 1


def test_a_refusal_says_why(office: Office, hub: Hub) -> None:
    with pytest.raises(HubProblem) as refused:
        hub.record("TH", "trademarks", "X")
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    assert refused.value.request_id in str(refused.value)
    with (
        Hub(office.url, office.client_id, "wrong") as stranger,
        pytest.raises(HubProblem, match="invalid_client"),
    ):
        stranger.me()


def test_a_private_key_signs_in(office: Office) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    client, _ = office.ledger.clients.add(
        name="two", third_party="Acme", public_jwk=public.decode(), at=datetime.now(UTC), by="test"
    )
    with Hub(office.url, PrivateKey(client.clientId, pem)) as hub:
        assert hub.me()["clientId"] == client.clientId
    with (
        Hub(office.url, PrivateKey(client.clientId, pem, algorithm="PS256")) as wrong,
        pytest.raises(HubError, match="cannot sign with PS256"),
    ):
        wrong.me()


def test_a_token_that_died_early_is_replaced(office: Office, hub: Hub) -> None:
    office.share()
    office.publish("KH/1/2026")
    first = hub.transport.token()
    assert first == hub.transport.token()
    office.ledger.tokens.purge(datetime(2100, 1, 1, tzinfo=UTC))
    assert len(list(hub.records("KH", "trademarks"))) == 1
    assert hub.transport.token() != first


def test_a_replica_follows_what_the_office_does(office: Office, hub: Hub, tmp_path: Path) -> None:
    replica = Replica(tmp_path / "copy.sqlite")

    def held() -> dict[str, Any]:
        return {record["recordId"]: record for record in replica.records("KH", "trademarks")}

    def served() -> dict[str, Any]:
        return {record["recordId"]: record for record in hub.records("KH", "trademarks")}

    office.share()
    office.publish("A", "B", "C")
    assert replica.sync(hub) == Synced(upserts=3)
    assert replica.sync(hub) == Synced()
    office.publish("B", word="SERUNI", gone=("C",))
    assert replica.sync(hub) == Synced(upserts=1, deletes=1)
    assert held() == served()
    office.share(Disclosure.STAKEHOLDER)
    narrowed = replica.sync(hub)
    assert (narrowed.upserts, narrowed.retractions) == (2, 2)
    assert held() == served()
    assert "applicants" not in json.dumps(held())
    office.ledger.authorizations.revoke("KH", "Acme", datetime.now(UTC), "test")
    assert replica.sync(hub).retractions >= 2
    assert held() == {}


def test_what_a_replica_drops_is_not_in_its_file_any_more(
    office: Office, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.share()
    office.publish("A", word="SERUNAI")
    office.publish("B")
    path, connect = tmp_path / "copy.sqlite", sqlite3.connect

    def careless(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **more)
        connection.execute("PRAGMA secure_delete = OFF")  # as most builds of SQLite are
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    replica = Replica(path)
    replica.sync(hub)
    assert b"SERUNAI" in path.read_bytes()
    office.publish(gone=("A",))
    assert replica.sync(hub) == Synced(deletes=1)
    assert b"SERUNAI" not in b"".join(file.read_bytes() for file in tmp_path.glob("copy.sqlite*"))


def test_a_replica_begins_again_when_the_hub_asks_for_it(
    office: Office, hub: Hub, tmp_path: Path
) -> None:
    replica = Replica(tmp_path / "copy.sqlite")
    office.share()
    office.publish("A", "B")
    office.publish("C")
    replica.sync(hub)
    office.rebuild()
    office.publish(gone=("A",))
    assert replica.sync(hub).restarted
    assert [record["recordId"] for record in replica.records()] == ["B", "C"]
    assert replica.sync(hub) == Synced()


def test_a_replica_of_one_office_that_must_begin_again_with_nothing_keeps_nothing(
    office: Office, hub: Hub, tmp_path: Path
) -> None:
    replica = Replica(tmp_path / "copy.sqlite", office="KH")
    with pytest.raises(HubProblem, match="not_found"):
        replica.sync(hub)
    office.share()
    office.publish("A", "B")
    replica.sync(hub)
    office.rebuild()
    office.ledger.authorizations.revoke("KH", "Acme", datetime.now(UTC), "test")
    assert replica.sync(hub) == Synced(restarted=True)
    assert list(replica.records()) == []
    with pytest.raises(HubProblem, match="not_found"):
        replica.sync(hub)


def test_who_reads_a_replica_keeps_nobody_from_synchronising_it(
    office: Office, hub: Hub, tmp_path: Path
) -> None:
    office.share()
    office.publish("KH/1/2026", "KH/2/2026")
    replica = Replica(tmp_path / "copy.sqlite")
    replica.sync(hub)
    reading = replica.records()
    assert next(reading)["applicationNumber"] == "KH/1/2026"
    office.publish("KH/3/2026")
    assert replica.sync(hub).upserts == 1
    assert [record["applicationNumber"] for record in reading] == ["KH/2/2026"]


def test_two_programs_that_begin_a_replica_again_lose_no_record(tmp_path: Path) -> None:
    """The first is overtaken in the middle, and goes on while the second is at its end."""
    replica = Replica(tmp_path / "copy.sqlite")
    may_go_on, has_gone_on = threading.Event(), threading.Event()

    def hub_of(pause: Callable[[int], object]) -> Any:
        def pages(cursor: str | None) -> Iterator[Page]:
            for number in range(int(cursor or 0), 4):
                pause(number)
                change = Change("upsert", "source", "KH", "trademarks", f"r{number}", {"n": number})
                yield Page([change], str(number + 1))
            pause(4)

        return SimpleNamespace(
            changes=lambda cursor, **_: SimpleNamespace(pages=lambda: pages(cursor))
        )

    def first(number: int) -> None:
        if number == 2:
            replica._start_again()
            thread.start()
            may_go_on.wait(30)
        if number == 3:
            has_gone_on.set()
            thread.join(30)

    def second(number: int) -> None:
        if number == 4:
            may_go_on.set()
            has_gone_on.wait(30)

    thread = threading.Thread(target=replica.sync, args=[hub_of(second)])
    replica._start_again()
    try:
        with pytest.raises(HubError, match="another program"):
            replica.sync(hub_of(first))
    finally:
        has_gone_on.set()
        thread.join(30)
    assert [record["n"] for record in replica.records()] == [0, 1, 2, 3]


def test_two_programs_that_synchronise_one_replica_keep_nothing_they_may_not(
    office: Office, hub: Hub, tmp_path: Path
) -> None:
    """A page that comes late would set the cursor back behind what is held, and not retracted."""
    replica = Replica(tmp_path / "copy.sqlite")
    office.share()
    office.publish("A")

    def late() -> Iterator[Page]:
        pages = list(hub.changes().pages())
        office.publish("B")
        replica.sync(hub)
        yield from pages

    slow: Any = SimpleNamespace(changes=lambda *_, **__: SimpleNamespace(pages=late))
    with pytest.raises(HubError, match="another program"):
        replica.sync(slow)
    assert {record["recordId"] for record in replica.records()} == {"A", "B"}
    office.ledger.authorizations.revoke("KH", "Acme", datetime.now(UTC), "test")
    assert replica.sync(hub) == Synced(retractions=2)
    assert not list(replica.records())


def test_a_replica_file_is_of_one_office_and_right(tmp_path: Path) -> None:
    Replica(tmp_path / "copy.sqlite", office="KH")
    with pytest.raises(HubError, match="use another file"):
        Replica(tmp_path / "copy.sqlite", office="TH")


# --- notifications --------------------------------------------------------------------------


def test_only_what_the_hub_signed_is_believed() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body, now = '{"type":"records.retracted"}', datetime.now(UTC)
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("msg_1", now, body),
    }
    assert verify_notification(body.encode(), headers, secret) == {"type": "records.retracted"}
    with pytest.raises(HubError, match="not a notification"):
        verify_notification(body.replace("retracted", "changed"), headers, secret)
    with pytest.raises(HubError, match="not a notification"):
        verify_notification(body, headers | {"Webhook-Timestamp": "1700000000"}, secret)
    with pytest.raises(HubError, match="not a notification"):
        verify_notification(body, {}, secret)
    with pytest.raises(HubError, match="secret may not be empty"):
        verify_notification(body, headers, "whsec_")
