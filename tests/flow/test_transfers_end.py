"""A transfer that runs ends when an office takes back what it gives: what left is all there is."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from time import sleep
from typing import Any

import pytest

from api import auth, prepared_files, record_stream
from api.service import TOKEN_SECONDS
from connectors.exports import mapped
from connectors.receipts.reading import Asked, Receipts
from connectors.serving import streaming
from connectors.serving_store import ServingStore
from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Right
from ipregister.profiles import load_profile
from ipregister.row_rules import RowRule

TM = Right.TRADEMARKS
RECORDS = "/v1/offices/KH/trademarks/records"
NDJSON = "application/x-ndjson"
MARKS = 60
EVERYTHING = frozenset(Disclosure)

Act = Callable[[Any], object]


@pytest.fixture
def hub(third_parties: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub that gives Acme everything but examination, in small pieces."""
    monkeypatch.setattr(auth, "LOOK_SECONDS", 0)
    monkeypatch.setattr(streaming, "PIECE", 2)
    monkeypatch.setattr(mapped, "ROWS", 2)
    monkeypatch.setattr(record_stream, "WORTH_MAPPING", 1)
    monkeypatch.setattr(prepared_files, "PIECE_BYTES", 100)
    third_parties.share(Disclosure.EXAMINATION)
    third_parties.publish(*(third_parties.mark(f"R{number:02d}") for number in range(MARKS)))
    return third_parties


def fetch(hub: Any, path: str, meanwhile: Act, **headers: str) -> tuple[int, bytes, bool]:
    """Return status, body and whether it came to its end; ``meanwhile`` after the first piece."""
    given = {"authorization": hub.http.headers["Authorization"]} | headers
    scope = {
        **{"type": "http", "method": "GET", "path": path, "raw_path": path.encode()},
        **{"query_string": b"", "client": ("192.0.2.7", 1), "http_version": "1.1"},
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 2:
            meanwhile(hub)

    asyncio.run(hub.http.app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body, not sent[-1].get("more_body", False)


def decide(hub: Any, grant: Grant, **more: Any) -> None:
    hub.ledger.authorizations.decide(
        "KH", "Acme", Decision({TM: grant}, **more), hub.service.clock(), "test"
    )


def revoke(hub: Any) -> None:
    hub.ledger.authorizations.revoke("KH", "Acme", hub.service.clock(), "test")


def withhold_more(hub: Any) -> None:
    hub.share(Disclosure.EXAMINATION, Disclosure.STAKEHOLDER)


def share_fewer(hub: Any) -> None:
    decide(hub, Grant(EVERYTHING, RowRule(publishedOnly=True)))


def drop_free_text(hub: Any) -> None:
    decide(hub, Grant(EVERYTHING, freeText=False))


def allow_elsewhere_only(hub: Any) -> None:
    decide(hub, Grant(EVERYTHING), allowedAddresses=("198.51.100.0/24",))


def end_the_right(hub: Any) -> None:
    decision = Decision({Right.PATENTS: Grant(EVERYTHING)})
    hub.ledger.authorizations.decide("KH", "Acme", decision, hub.service.clock(), "test")


def disable(hub: Any) -> None:
    (client,) = hub.ledger.clients.list()
    hub.ledger.clients.revoke(client.clientId, at=hub.service.clock(), by="test")


def revoke_token(hub: Any) -> None:
    token = hub.http.headers["Authorization"].removeprefix("Bearer ")
    assert hub.ledger.tokens.revoke(sha256(token.encode()).digest(), hub.service.clock())


TAKEN_BACK = [
    *(revoke, withhold_more, share_fewer, drop_free_text, allow_elsewhere_only),
    *(end_the_right, disable, revoke_token),
]


def share_more(hub: Any) -> None:
    hub.share()


def share_with_somebody_else(hub: Any) -> None:
    hub.login("Bora")
    hub.share(name="Bora")


def allow_here_only(hub: Any) -> None:
    decide(hub, Grant(EVERYTHING), allowedAddresses=("192.0.2.0/24",))


LET_BE = [share_more, share_with_somebody_else, allow_here_only]


def from_the_store(_: Any) -> str:
    return RECORDS


def from_the_columns(hub: Any) -> str:
    fetch(hub, RECORDS, lambda _: None, accept=NDJSON)  # whoever comes first has them made
    hub.exports.prepare()
    return RECORDS


def prepared(hub: Any) -> str:
    asked = {"office": "KH", "right": "trademarks", "format": "csv"}
    place = hub.http.post("/v1/exports", json=asked).headers["location"]
    hub.exports.prepare()
    url = hub.get(place).json()["downloads"][0]["url"]
    return str(url).removeprefix("http://hub.test")


def by_delta_sharing(hub: Any) -> str:
    table = "/delta-sharing/shares/KH/schemas/register/tables/trademarks/query"
    hub.exports.start = hub.exports.prepare
    lines = hub.http.post(table, json={}).text.splitlines()
    return str(json.loads(lines[2])["file"]["url"]).removeprefix("http://hub.test")


ROUTES = [from_the_store, from_the_columns, prepared, by_delta_sharing]


@pytest.mark.parametrize("act", TAKEN_BACK)
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_more_leaves_once_it_is_taken_back(hub: Any, route: Any, act: Act) -> None:
    path = route(hub)
    status, whole, ended = fetch(hub, path, lambda _: None, accept=NDJSON)
    assert (status, ended) == (200, True)
    status, part, ended = fetch(hub, path, act, accept=NDJSON)
    assert (status, ended) == (200, False)
    assert part
    assert len(part) < len(whole) / 2
    assert whole.startswith(part)


def test_nothing_leaves_that_is_taken_back_while_its_reading_is_opened(
    hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "LOOK_SECONDS", 0.05)
    opened = ServingStore.reading

    def slowly(*args: Any, **more: Any) -> Any:
        revoke(hub)
        sleep(auth.LOOK_SECONDS)  # as counting the hits of a search in a large register
        return opened(*args, **more)

    monkeypatch.setattr(ServingStore, "reading", slowly)
    assert fetch(hub, RECORDS, lambda _: None, accept=NDJSON)[:2] == (200, b"")


@pytest.mark.parametrize(
    ("act", "status"),
    [(revoke, 404), (withhold_more, 200), (allow_elsewhere_only, 404), (disable, 401)],
)
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_a_search_is_answered_as_it_is_shared_when_it_is_through(
    hub: Any, accept: str, act: Act, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take seconds; what is taken back meanwhile does not leave, and leaves no receipt."""
    search = ServingStore.page
    acts = [act]

    def searching(*args: Any, **more: Any) -> Any:
        found = search(*args, **more)
        if acts:
            acts.pop()(hub)
        return found

    monkeypatch.setattr(ServingStore, "page", searching)
    values = {"applicants": [{"names": [{"text": "Dara"}]}]}
    hub.publish(hub.mark("S1", markVerbalElements=[{"text": "Veldara"}], **values))
    answer = hub.get(f"{RECORDS}?q=veld", Accept=accept)
    assert (answer.status_code, "Dara" in answer.text) == (status, False)
    assert ("Veldara" in answer.text) == (status == 200)
    read = Receipts(hub.service.receipts.root).find(Asked("KH"), limit=10)
    assert [each.records for each in read] == ([1] if status == 200 else [])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_so_it_is_when_it_leaves_compressed(hub: Any, coding: str) -> None:
    assert fetch(hub, RECORDS, revoke, **{"accept": NDJSON, "accept-encoding": coding})[2] is False


@pytest.mark.parametrize("act", LET_BE)
@pytest.mark.parametrize("route", ROUTES)
def test_what_takes_nothing_back_lets_a_transfer_be(hub: Any, route: Any, act: Act) -> None:
    assert fetch(hub, route(hub), act, accept=NDJSON)[2] is True


def test_a_file_that_has_less_than_is_shared_now_is_sent_on_when_the_rest_ends(hub: Any) -> None:
    path = prepared(hub)
    share_more(hub)
    assert fetch(hub, path, lambda hub: hub.share(Disclosure.EXAMINATION))[2] is True


def test_a_transfer_ends_with_the_last_day_of_its_authorization(hub: Any) -> None:
    now = [hub.service.clock()]
    hub.http.app.state.service = replace(hub.service, clock=lambda: now[0])
    decide(hub, Grant(EVERYTHING), validUntil=load_profile("KH").day_of(now[0]))

    def the_next_day(_: Any) -> None:
        now[0] += timedelta(days=1)

    hub.login("Acme")
    assert fetch(hub, RECORDS, the_next_day, accept=NDJSON)[2] is False


def test_a_token_that_expires_ends_no_transfer_that_its_office_still_allows(hub: Any) -> None:
    now = [hub.service.clock()]
    hub.http.app.state.service = replace(hub.service, clock=lambda: now[0])

    def later(_: Any) -> None:
        now[0] += timedelta(seconds=TOKEN_SECONDS)

    assert fetch(hub, RECORDS, later, accept=NDJSON)[2] is True
    assert hub.get(RECORDS).status_code == 401


def test_receipts_of_a_stream_that_was_ended_name_what_left(hub: Any) -> None:
    _, body, _ = fetch(hub, RECORDS, revoke, accept=NDJSON)
    left = [json.loads(line)["recordId"] for line in body.splitlines()]
    receipts = Receipts(hub.service.receipts.root)
    (told, *more) = receipts.find(Asked("KH"), limit=10)
    assert not more
    assert receipts.named(Asked("KH"), told.requestId)["records"] == left
    assert told.records == len(left) == 2
