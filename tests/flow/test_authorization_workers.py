"""Two real workers of ``iphub serve`` while an office keeps deciding: no answer is of yesterday."""

import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from subprocess import DEVNULL, Popen
from sys import executable
from time import monotonic, sleep

import httpx
import pytest

from connectors.hub import Hub
from connectors.serving_store import Publication, ServingRow
from connectors.settings import Settings
from connectors.views import authorize
from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

TM = Right.TRADEMARKS
EVERY_CLASS = frozenset(Disclosure)
RECORDS = "/v1/offices/KH/trademarks/records"
DECISIONS: list[tuple[Grant | None, list[str]]] = [
    (Grant(EVERY_CLASS), ["a Dara", "b Dara"]),
    (Grant(EVERY_CLASS, RowRule(publishedOnly=True)), ["a Dara"]),
    (Grant(EVERY_CLASS - {Disclosure.STAKEHOLDER}), ["a", "b"]),
    (None, []),
    (Grant(EVERY_CLASS, RowRule(kinds=("collective",))), ["b Dara"]),
]
"""What is decided in turn, and what a reader sees then."""

READERS, ROUNDS, START_SECONDS = 4, 40, 120


def row(name: str, *, published: bool, kind: str) -> ServingRow:
    fragments = {Disclosure.CORE: b'{"recordId":"%b"' % name.encode()}
    fragments[Disclosure.STAKEHOLDER] = b',"applicants":"Dara"'
    return ServingRow(name, 1, name, fragments, published=published, kind=kind)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    opened = Hub.create(Settings(home=tmp_path / "hub"))
    rows = [
        row("a", published=True, kind="individual"),
        row("b", published=False, kind="collective"),
    ]
    opened.serving.publish(Publication("d1", "KH", TM, datetime.now(UTC), rows))
    yield opened
    opened.close()


@pytest.fixture
def url(hub: Hub) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [executable, "-m", "iphub", "serve", "--home", str(hub.home.root)]
    server = Popen([*command, "--port", str(port), "--workers", "2"], stderr=DEVNULL)
    address, patience = f"http://127.0.0.1:{port}", monotonic() + START_SECONDS
    try:
        while True:
            try:
                httpx.get(f"{address}/readyz", timeout=10).raise_for_status()
                break
            except httpx.HTTPError:
                assert monotonic() < patience, "the server does not answer"
                sleep(0.1)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


class Office:
    """Decides in turn; tells readers how far it has come."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.done = hub, -1

    def decide(self, number: int) -> None:
        grant, _ = DECISIONS[number % len(DECISIONS)]
        at = datetime.now(UTC)
        if grant is None:
            self.hub.ledger.authorizations.revoke("KH", "Ann", at, "test")
        else:
            authorize(
                *(self.hub.ledger, self.hub.serving),
                office="KH",
                third_party="Ann",
                decision=Decision({TM: grant}),
                clock=lambda: at,
                by="test",
            )
        self.done = number


def seen(answer: httpx.Response) -> list[str]:
    if answer.status_code == 404:
        return []
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    return [" ".join(filter(None, [i["recordId"], i.get("applicants")])) for i in items]


def test_no_worker_answers_with_what_was_decided_before(hub: Hub, url: str) -> None:
    client, _ = hub.ledger.clients.add(name="a", third_party="Ann", at=datetime.now(UTC), by="test")
    token, now = secrets.token_hex(), datetime.now(UTC)
    hashed = sha256(token.encode()).digest()
    hub.ledger.tokens.issue(client.clientId, hashed, now + timedelta(minutes=10), now)
    office, ended, stale, answers = Office(hub), threading.Event(), list[str](), list[int]()
    office.decide(0)

    def read() -> None:
        while not ended.is_set():
            # A new connection each time: whichever worker is free takes it.
            before = office.done
            answer = httpx.get(url + RECORDS, headers={"Authorization": f"Bearer {token}"})
            # One more than is done may already be written.
            possible = range(before, office.done + 2)
            answers.append(answer.status_code)
            found = seen(answer)
            if found not in [DECISIONS[number % len(DECISIONS)][1] for number in possible]:
                stale.append(f"{found} after decision {before}")

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for number in range(1, ROUNDS):
        office.decide(number)
        reached = len(answers) + READERS
        patience = monotonic() + 10
        while len(answers) < reached and monotonic() < patience:
            sleep(0.005)
    ended.set()
    for reader in readers:
        reader.join()
    assert stale == []
    assert len(answers) > ROUNDS
    assert {200, 404} <= set(answers)
