"""Third parties are told that something they may see has changed: signed, in order, no more."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from standardwebhooks import Webhook as Receiver

from connectors.ledger import Ledger
from connectors.ledger.webhook_records import Webhook
from connectors.networks import read_networks
from connectors.notifications import sending
from connectors.notifications.addresses import judge
from connectors.notifications.dispatching import WAITS, Pass, dispatch
from connectors.notifications.noticing import notice
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow, ServingStore
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right, load_tables

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
INSIDE = read_networks("127.0.0.0/8")
TM = Right.TRADEMARKS


@dataclass
class Inbox:
    """A receiver on loopback: what came, and what it answers next (200 when nothing is set)."""

    url: str
    came: list[tuple[dict[str, str], str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.came]

    def places(self) -> list[list[str]]:
        return [
            [f"{item['officeCode']}.{item['right']}" for item in json.loads(body)["data"]["items"]]
            for _, body in self.came
        ]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.came.append((dict(self.headers), body))
            status = received.answers.pop(0) if received.answers else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Inbox(f"http://127.0.0.1:{server.server_address[1]}/hook")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield received
    server.shutdown()
    server.server_close()


@dataclass
class World:
    """A hub with one third party and its webhook."""

    ledger: Ledger
    serving: ServingStore
    webhook: Webhook
    secret: str
    now: datetime = NOW
    deliveries: int = 0

    def share(self, *withheld: Disclosure, right: Right = TM) -> None:
        rights = {right: frozenset(withheld)}
        self.ledger.authorizations.set("KH", "Acme", rights, None, self.now, "test")

    def publish(self, word: str = "", applicant: str = "Veldara", right: Right = TM) -> None:
        self.deliveries += 1
        row: dict[str, Any] = {"recordId": "R1", "officeCode": "KH", "right": str(right)}
        row |= {"applicationNumber": "KH/1/2026", "markVerbalElements": [{"text": word}]}
        row |= {"applicants": [{"names": [{"text": applicant}]}]}
        fragments = render_fragments(load_tables()[right], row)
        rows = [ServingRow("R1", 1, "KH/1/2026", fragments)]
        self.serving.publish(Publication(f"D{self.deliveries}", "KH", right, self.now, rows))

    def dispatch(self, later: timedelta = timedelta(0)) -> Pass:
        self.now += later
        return dispatch(self.ledger, self.serving, clock=lambda: self.now, inside=INSIDE)


@pytest.fixture
def world(tmp_path: Path, inbox: Inbox) -> Iterator[World]:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(tmp_path / "serving.sqlite")
    client, _ = ledger.clients.add(name="one", third_party="Acme", at=NOW, by="test")
    webhook, secret = ledger.webhooks.add(client.clientId, inbox.url, at=NOW, by="test")
    yield World(ledger, serving, webhook, secret)
    serving.close()
    ledger.close()


def test_a_change_is_told_once_and_the_public_library_believes_it(
    world: World, inbox: Inbox
) -> None:
    world.now = datetime.now(UTC)  # the library refuses what is older than five minutes
    world.share()
    world.publish()
    assert world.dispatch() == Pass(noticed=1, delivered=1)
    assert world.dispatch() == Pass()
    ((headers, body),) = inbox.came
    told = Receiver(world.secret).verify(body, headers)
    assert (told["type"], inbox.places()) == ("changes.available", [["KH.trademarks"]])
    assert "Veldara" not in body


def test_a_change_that_may_not_be_seen_is_not_told(world: World, inbox: Inbox) -> None:
    world.share(Disclosure.STAKEHOLDER)
    world.publish(word="LUMATIVA")
    world.dispatch()
    world.publish(word="LUMATIVA", applicant="Soleta")
    world.publish(right=Right.PATENTS)
    assert world.dispatch() == Pass()
    world.publish(word="SERUNI", applicant="Soleta")
    world.dispatch()
    assert inbox.types() == ["changes.available", "changes.available"]


def test_a_changed_authorization_is_told_and_what_must_be_dropped(
    world: World, inbox: Inbox
) -> None:
    world.dispatch()
    world.share()
    world.publish()
    world.dispatch()
    world.share(Disclosure.STAKEHOLDER)
    world.dispatch()
    world.ledger.authorizations.revoke("KH", "Acme", world.now, "test")
    world.dispatch()
    narrowed = ["authorization.changed", "records.retracted"]
    assert inbox.types() == [
        *("authorization.changed", "changes.available"),
        *(*narrowed, "changes.available"),
        *narrowed,
    ]


def test_an_authorization_that_opens_more_takes_nothing_back(world: World, inbox: Inbox) -> None:
    world.share(Disclosure.STAKEHOLDER)
    world.publish()
    world.dispatch()
    world.share()
    world.dispatch()
    assert inbox.types() == ["changes.available", "authorization.changed", "changes.available"]


def test_what_an_office_changes_and_changes_back_between_two_passes_is_told(
    world: World, inbox: Inbox
) -> None:
    """Who read meanwhile has less than it may have, or more."""
    withheld = Disclosure.STAKEHOLDER
    world.share()
    world.publish()
    world.dispatch()
    world.share(withheld)
    world.share()
    world.dispatch()
    assert inbox.types()[1:] == ["authorization.changed", "changes.available"]
    world.share(withheld)
    world.dispatch()
    del inbox.came[:]
    world.share()
    world.share(withheld)
    assert world.dispatch() == Pass(noticed=3, delivered=3)
    assert world.dispatch() == Pass()
    assert inbox.types() == ["authorization.changed", "records.retracted", "changes.available"]
    assert inbox.places() == [["KH.trademarks"]] * 3


def test_a_decision_that_opens_and_closes_nothing_is_not_told(world: World, inbox: Inbox) -> None:
    world.share()
    world.publish()
    world.dispatch()
    for until in (NOW.date() + timedelta(days=9), None):
        rights: dict[Right, frozenset[Disclosure]] = {TM: frozenset()}
        world.ledger.authorizations.set("KH", "Acme", rights, until, NOW, "test")
    assert world.dispatch() == Pass()


def test_an_authorization_that_ends_by_itself_is_told_on_the_next_day(
    world: World, inbox: Inbox
) -> None:
    rights: dict[Right, frozenset[Disclosure]] = {TM: frozenset()}
    world.ledger.authorizations.set("KH", "Acme", rights, NOW.date(), NOW, "test")
    world.dispatch()
    world.dispatch(later=timedelta(days=1))
    assert inbox.types()[-2:] == ["authorization.changed", "records.retracted"]


def test_what_does_not_arrive_is_tried_again_in_its_order(world: World, inbox: Inbox) -> None:
    world.share()
    world.publish()
    inbox.answers = [500, 302]
    assert world.dispatch() == Pass(noticed=1, failed=1)
    world.publish(word="SERUNI")
    assert world.dispatch() == Pass(noticed=1)
    assert world.dispatch(later=WAITS[0]) == Pass(failed=1)
    assert world.dispatch(later=WAITS[1] - timedelta(seconds=1)) == Pass()
    assert world.dispatch(later=timedelta(seconds=1)) == Pass(delivered=2)
    names = [headers["webhook-id"] for headers, _ in inbox.came]
    assert (names[0] == names[1] == names[2], names[3] != names[2]) == (True, True)
    assert len(inbox.came) == 4  # the redirect was not followed


def test_a_receiver_that_answers_drop_by_drop_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with suppress(OSError):  # the hub has hung up
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40 + b"\r\n\r\n":
                    self.wfile.write(bytes([byte]))
                    sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.5)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    outcome = sending.send(url, "msg-1", "{}", [world.secret], at=NOW, inside=INSIDE)
    server.shutdown()
    server.server_close()
    assert outcome == sending.Outcome(False, trouble="no answer within 0.5 s")


def test_why_there_was_no_answer_is_told_in_words(world: World, tmp_path: Path) -> None:
    def send_to(url: str) -> str | None:
        return sending.send(url, "msg-1", "{}", [world.secret], at=NOW, inside=INSIDE).trouble

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.recv(65_536)

    for scheme, told in {
        "http": "the answer is not HTTP, or broke off",
        "https": "no TLS connection",
    }.items():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=answer, args=(listening,), daemon=True).start()
            assert send_to(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/") == told
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told_of_tls = send_to(f"https://127.0.0.1:{server.server_address[1]}/")
    server.shutdown()
    server.server_close()
    assert told_of_tls == "its certificate is not accepted: self-signed certificate"


def _self_signed(folder: Path) -> Path:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    day, today = timedelta(days=1), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(today - day).not_valid_after(today + day)
    path = folder / "receiver.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


def test_who_is_told_after_others_that_took_long_gets_a_fresh_signature(
    world: World, inbox: Inbox
) -> None:
    world.ledger.webhooks.add(world.webhook.clientId, inbox.url, at=NOW, by="test")
    world.share()
    world.publish()
    slow = (NOW + timedelta(minutes=minute) for minute in count(step=6))
    done = dispatch(world.ledger, world.serving, clock=lambda: next(slow), inside=INSIDE)
    assert done == Pass(noticed=2, delivered=2)
    first, second = (int(headers["webhook-timestamp"]) for headers, _ in inbox.came)
    assert second - first >= 6 * 60


def test_who_answers_late_each_time_keeps_nobody_from_what_is_new(
    world: World, inbox: Inbox
) -> None:
    """A pass of all that waits for one receiver would last for half an hour."""
    inbox.answers = [500]
    world.share()
    for number in range(30):
        world.publish(str(number))
        notice(world.ledger, world.serving, at=NOW)
    late = (NOW + timedelta(seconds=7 * number) for number in count())
    done = dispatch(world.ledger, world.serving, clock=lambda: next(late), inside=INSIDE)
    assert done == Pass(failed=1)
    late = (NOW + timedelta(minutes=9, seconds=7 * number) for number in count())
    done = dispatch(world.ledger, world.serving, clock=lambda: next(late), inside=INSIDE)
    assert 1 <= done.delivered <= 5, "then it looks for what is new, for everybody"
    assert world.dispatch(later=timedelta(hours=1)).delivered == 30 - done.delivered


def test_what_fails_waits_for_another_pass_however_long_this_one_takes(
    world: World, inbox: Inbox
) -> None:
    world.share()
    world.publish()
    inbox.answers = [500]
    slow = (NOW + timedelta(minutes=minute) for minute in count(step=6))
    done = dispatch(world.ledger, world.serving, clock=lambda: next(slow), inside=INSIDE)
    assert (done, len(inbox.came)) == (Pass(noticed=1, failed=1), 1)


def test_after_three_days_a_notification_is_given_up_and_the_next_has_its_turn(
    world: World, inbox: Inbox
) -> None:
    world.share()
    world.publish()
    inbox.answers = [503] * (len(WAITS) + 1)
    total = world.dispatch()
    for wait in WAITS:
        total = world.dispatch(later=wait)
    assert (total.givenUp, world.now - NOW > timedelta(days=3)) == (1, True)
    (dead,) = world.ledger.webhooks.sent(world.webhook.webhookId)
    assert (dead.trouble, dead.givenUpAt) == ("the receiver answered 503", world.now)
    world.publish(word="SERUNI")
    assert world.dispatch() == Pass(noticed=1, delivered=1)


def test_a_receiver_that_is_gone_ends_its_webhook(world: World, inbox: Inbox) -> None:
    world.share()
    world.publish()
    inbox.answers = [410]
    assert world.dispatch() == Pass(noticed=1, failed=1, givenUp=1)
    assert world.ledger.webhooks.list() == []
    world.publish(word="SERUNI")
    assert world.dispatch() == Pass()


def test_a_killed_attempt_is_made_again(world: World, inbox: Inbox) -> None:
    world.share()
    world.publish()
    notice(world.ledger, world.serving, at=world.now)
    taken = world.ledger.webhooks.due(world.now, timedelta(seconds=60))
    assert len(taken) == 1  # and then its process was killed
    assert world.dispatch() == Pass()
    assert world.dispatch(later=timedelta(seconds=60)) == Pass(delivered=1)
    assert inbox.types() == ["changes.available"]


def test_both_secrets_sign_for_a_day_after_a_rotation(world: World, inbox: Inbox) -> None:
    world.now = datetime.now(UTC)
    world.share()
    world.publish()
    fresh = world.ledger.webhooks.rotate(world.webhook, at=world.now, by="test")
    world.dispatch()
    headers, body = inbox.came[0]
    for secret in (world.secret, fresh):
        assert Receiver(secret).verify(body, headers)["type"] == "changes.available"
    (webhook,) = world.ledger.webhooks.list()
    later = world.ledger.webhooks.secrets(webhook, world.now + timedelta(days=1))
    assert later == [fresh]


def test_a_revoked_clients_webhook_ends(world: World) -> None:
    world.ledger.clients.revoke(world.webhook.clientId, at=NOW, by="test")
    world.dispatch()
    assert world.ledger.webhooks.list() == []


INSIDE_NAMES = {
    "https://127.0.0.1/": "127.0.0.1",
    "https://localhost/": "127.0.0.1",
    "https://2130706433/": "127.0.0.1",
    "https://0x7f.1/": "127.0.0.1",
    "https://[::1]/": "::1",
    "https://[::ffff:10.0.0.1]/": "::ffff:10.0.0.1",
    "https://[2002:7f00:1::]/": "2002:7f00:1::",
    "https://[64:ff9b::a00:1]/": "64:ff9b::a00:1",
    "https://[64:ff9b:1::a00:1]/": "64:ff9b:1::a00:1",
    "https://[::10.0.0.1]/": "::a00:1",
    "https://[::ffff:0:10.0.0.1]/": "::ffff:0:a00:1",
    "https://[fec0::1]/": "fec0::1",
    "https://10.1.2.3/": "10.1.2.3",
    "https://172.16.0.1/": "172.16.0.1",
    "https://192.168.1.1/": "192.168.1.1",
    "https://169.254.169.254/latest/meta-data": "169.254.169.254",
    "https://100.64.0.1/": "100.64.0.1",
    "https://[fe80::1]/": "fe80::1",
    "https://[fd00::1]/": "fd00::1",
    "https://224.0.0.1/": "224.0.0.1",
    "https://0.0.0.0/": "0.0.0.0",
    "https://rebound.example/": "192.168.0.7",
}


def names(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda _host, _port: list(addresses)


@pytest.mark.parametrize(("url", "address"), INSIDE_NAMES.items(), ids=INSIDE_NAMES)
def test_nothing_inside_is_ever_called(url: str, address: str) -> None:
    with pytest.raises(InvalidRequest, match="not known on the public internet"):
        judge(url, resolver=names(address))
    with pytest.raises(InvalidRequest, match="not known on the public internet"):
        judge("https://two.example/", resolver=names("93.184.216.34", address))


def test_a_name_inside_is_refused_like_one_that_is_not_there() -> None:
    def nobody(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    said = []
    for resolver in (nobody, names("10.0.0.5"), names()):
        with pytest.raises(InvalidRequest) as refused:
            judge("https://vault.hub.internal/", resolver=resolver)
        said.append(str(refused.value))
    assert len(set(said)) == 1


def test_a_public_address_of_ipv6_is_called() -> None:
    assert judge("https://hooks.example/", resolver=names("2606:2800:220:1::1")).address


@pytest.mark.parametrize(
    "url",
    [
        "http://public.example/",
        "https://public.example:8443/",
        "https://user:secret@public.example/",
        "https://public.example/#part",
        "ftp://public.example/",
        "public.example",
        "https:///path",
        "https://public.example/\r\nX: y",
        "https://public.example:99999/",
        "https://" + "a" * 3000 + ".example/",
    ],
)
def test_other_addresses_than_public_https_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^url: "):
        judge(url, resolver=names("93.184.216.34"))


def test_a_public_address_is_called_by_the_address_that_was_judged() -> None:
    target = judge("https://hooks.example/in?x=1", resolver=names("93.184.216.34"))
    assert (target.address, target.host, target.path) == (
        "93.184.216.34",
        "hooks.example",
        "/in?x=1",
    )


def test_a_name_that_moves_inside_later_reaches_nothing(world: World, inbox: Inbox) -> None:
    world.share()
    world.publish()
    world_of = (world.ledger, world.serving)
    done = dispatch(*world_of, clock=lambda: NOW, resolver=names("10.0.0.5"), inside=INSIDE)
    assert done == Pass(noticed=1, failed=1)
    (waiting,) = world.ledger.webhooks.sent(world.webhook.webhookId)
    assert waiting.trouble == "url: this host is not known on the public internet."
    assert inbox.came == []
