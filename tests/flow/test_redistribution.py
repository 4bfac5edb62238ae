"""Third parties read: what they may see, all of it, and not a byte more."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations, count
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.ledger import Ledger
from connectors.receipts.journal import Journal
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow, ServingStore
from ipregister.model import Disclosure, Member, Right, Table, load_tables

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
WITHHOLDABLE = [name for name in Disclosure if name is not Disclosure.CORE]
MASKS = [frozenset(held) for size in range(5) for held in combinations(WITHHOLDABLE, size)]
TM = Right.TRADEMARKS


@dataclass
class Hub:
    """A hub with one third party, its token, and deliveries at will."""

    ledger: Ledger
    serving: ServingStore
    http: TestClient
    numbers: Iterator[int]

    def share(self, office: str, rights: Mapping[Right, frozenset[Disclosure]]) -> None:
        self.ledger.authorizations.set(office, "Acme", rights, None, NOW, "test")

    def publish(
        self, office: str, right: Right, *rows: ServingRow, gone: tuple[str, ...] = ()
    ) -> None:
        vanished = [(record_id, 1) for record_id in gone]
        delivery = f"D-{next(self.numbers)}"
        self.serving.publish(Publication(delivery, office, right, NOW, rows, vanished))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(tmp_path / "serving.sqlite")
    service = Service(
        ledger,
        serving,
        Cursors(b"k" * 32),
        "http://hub.test",
        lambda: NOW,
        receipts=Journal(tmp_path / "receipts"),
    )
    client, secret = ledger.clients.add(name="one", third_party="Acme", at=NOW, by="test")
    form = {"grant_type": "client_credentials", "client_id": client.clientId}
    with TestClient(create_app(service), raise_server_exceptions=False) as http:
        token = http.post("/oauth2/token", data=form | {"client_secret": str(secret)}).json()
        http.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield Hub(ledger, serving, http, count())
    serving.close()
    ledger.close()


def simple(record_id: str, *, right: Right = TM, **values: Any) -> ServingRow:
    row = {"recordId": record_id, "officeCode": "KH", "right": right} | values
    number = str(values.get("applicationNumber", record_id))
    fragments = render_fragments(load_tables()[right], row)
    return ServingRow(
        record_id,
        1,
        number,
        fragments,
        applicationNumber=number,
        status=values.get("status"),
        searchText=" ".join(text["text"] for text in values.get("markVerbalElements", ())),
    )


class Sentinels:
    """One row of a table with a value in every member, and which value is of which class."""

    def __init__(self, table: Table) -> None:
        self._numbers = count(100_001)
        self.table = table
        self.by_class: dict[Disclosure, set[str]] = {name: set() for name in Disclosure}
        self.row: dict[str, Any] = {}
        for field in table.fields:
            if field.name == "recordId":
                continue
            self._values: set[str] = set()
            self.row[field.name] = self._value(field)
            self.by_class[field.disclosure] |= self._values
        self.row["recordId"] = "r1"

    def _value(self, member: Member) -> Any:
        number = next(self._numbers)
        match member.type:
            case "struct":
                return {inner.name: self._value(inner) for inner in member.fields}
            case "list":
                return [{inner.name: self._value(inner) for inner in member.fields}]
            case "texts":
                return [{"text": self._keep(f"ក{number}x"), "languageCode": "km"}]
            case "strings":
                return [self._keep(f"s{number}x")]
            case "integer":
                return int(self._keep(str(number)))
            case "boolean":
                return True
            case "date":
                day = dt.date(1200, 1, 1) + dt.timedelta(days=number - 100_000)
                self._keep(day.isoformat())
                return day
            case _:
                return self._keep(f"s{number}x")

    def _keep(self, text: str) -> str:
        self._values.add(text)
        return text

    def serving_row(self) -> ServingRow:
        return ServingRow(
            "r1",
            1,
            self.row["applicationNumber"],
            render_fragments(self.table, self.row),
            applicationNumber=self.row["applicationNumber"],
            status=self.row["status"],
            searchText="everything",
        )

    def check(self, body: str, allowed: frozenset[Disclosure]) -> None:
        document = json.loads(body)
        record = document.get("items", [document])[0]
        names = {f.name for f in self.table.fields if f.disclosure in allowed} | {"recordId"}
        assert record.get("record", record).keys() == names
        for name, sentinels in self.by_class.items():
            assert sentinels, f"no field of class {name}"
            found = {sentinel for sentinel in sentinels if sentinel in body}
            assert found == (sentinels if name in allowed else set()), name


@pytest.mark.parametrize("withheld", MASKS, ids=lambda held: "+".join(sorted(held)) or "nothing")
@pytest.mark.parametrize("right", Right)
def test_withheld_values_never_leave(
    hub: Hub, right: Right, withheld: frozenset[Disclosure]
) -> None:
    world = Sentinels(load_tables()[right])
    allowed = frozenset(Disclosure) - withheld
    hub.share("KH", {right: withheld})
    hub.publish("KH", right, world.serving_row())
    base = f"/v1/offices/KH/{right}/records"
    for path in (
        f"{base}/r1",
        base,
        f"{base}?q=every",
        "/v1/changes",
        f"/v1/changes?right={right}",
    ):
        answer = hub.get(path)
        assert answer.status_code == 200, answer.text
        world.check(answer.text, allowed)
    assert (Disclosure.STATUS_CHANGE in withheld) == (
        hub.get(f"{base}?status=filed").status_code == 400
    )
    errors = (
        *(f"{base}/r2", f"{base}?limit=0", f"{base}?{world.row['status']}=1", f"{base}/r1?x=1"),
        *(f"{base}?cursor=x", "/v1/changes?cursor=x", "/v1/offices/TH/patents/records"),
        *("/v1/me", "/v1/offices"),
    )
    for path in errors:
        values = hub.get(path).text
        assert not any(text in values for kind in world.by_class.values() for text in kind)


def test_a_filter_on_a_withheld_field_is_refused_whether_or_not_values_exist(hub: Hub) -> None:
    hub.share("KH", {TM: frozenset({Disclosure.STATUS_CHANGE})})
    hub.publish("KH", TM, simple("a", status="filed"))
    answers = [
        hub.get(f"/v1/offices/KH/trademarks/records?{query}", **{"X-Request-Id": "the-same-id"})
        for query in ("status=filed", "status=nonsense", "status=", "limit=5&status=filed,x")
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (400, answers[0].content)
    }
    assert answers[0].json()["code"] == "field_not_available"


HIDDEN = [
    "/v1/offices/ZZ/trademarks/records",  # no such office
    "/v1/offices/TH/trademarks/records",  # shares nothing with this client
    "/v1/offices/KH/patents/records",  # shares another right
    "/v1/offices/KH/copyright/records",  # no such right
    "/v1/offices/kh/trademarks/records",
    "/v1/offices/TH/trademarks/records?limit=0",
    "/v1/offices/ZZ/trademarks/records?limit=0&x=1",
    "/v1/offices/TH/trademarks/records?status=filed",
    "/v1/offices/TH/trademarks/records/t1",
    "/v1/offices/ZZ/trademarks/records/t1",
    "/v1/offices/KH/patents/records/a",
    "/v1/offices/KH/trademarks/records/t1",
    "/v1/offices/KH/trademarks/records/never",
    "/v1/changes?office=TH",
    "/v1/changes?office=ZZ",
    "/v1/changes?office=KH&right=patents",
    "/v1/nothing",
]


def test_what_is_not_shared_does_not_exist(hub: Hub) -> None:
    hub.publish("TH", TM, simple("t1"))
    hub.publish("KH", Right.PATENTS, simple("a", right=Right.PATENTS))
    hub.share("KH", {TM: frozenset()})
    answers = [hub.get(path, **{"X-Request-Id": "the-same-id"}) for path in HIDDEN]
    for path, answer in zip(HIDDEN, answers, strict=True):
        assert answer.status_code == 404, path
        assert (answer.content, answer.headers) == (answers[0].content, answers[0].headers), path
    assert answers[0].json()["code"] == "not_found"
    assert hub.get("/v1/offices").json() == {
        "items": [
            {
                "officeCode": "KH",
                "name": "Department of Intellectual Property Rights, Cambodia",
                "rights": [
                    {
                        "right": "trademarks",
                        "allowed": [str(name) for name in Disclosure],
                        "withheld": [],
                        "rows": {},
                        "freeText": True,
                        "records": 0,
                    }
                ],
            }
        ]
    }


def test_an_authorization_acts_on_the_next_request(hub: Hub) -> None:
    hub.publish("KH", TM, simple("a", status="filed"))
    path = "/v1/offices/KH/trademarks/records/a"
    assert hub.get(path).status_code == 404
    hub.share("KH", {TM: frozenset()})
    assert hub.get(path).json()["status"] == "filed"
    hub.share("KH", {TM: frozenset({Disclosure.STATUS_CHANGE})})
    assert "status" not in hub.get(path).json()
    hub.ledger.authorizations.revoke("KH", "Acme", NOW, "test")
    assert hub.get(path).status_code == 404


@pytest.mark.parametrize("order", ["", "sort=applicationNumber&", "sort=-applicationNumber&"])
def test_pages_visit_every_record_once(hub: Hub, order: str) -> None:
    hub.share("KH", {TM: frozenset()})
    hub.publish(
        # Two records have one number each: the order is that of their identifiers then.
        *("KH", TM),
        *[simple(f"r{n:02d}", applicationNumber=f"KH/{n // 2:02d}") for n in range(25)],
    )
    seen: list[str] = []
    url: str | None = f"/v1/offices/KH/trademarks/records?{order}limit=3"
    while url:
        page = hub.get(url)
        seen += [item["recordId"] for item in page.json()["items"]]
        assert ("nextCursor" in page.json()) == ("next" in page.links)
        url = page.links["next"]["url"].removeprefix("http://hub.test") if page.links else None
    expected = [f"r{n:02d}" for n in range(25)]
    assert seen == (expected[::-1] if "-" in order else expected)


def test_a_cursor_belongs_to_its_query(hub: Hub) -> None:
    hub.share("KH", {TM: frozenset()})
    hub.publish("KH", TM, *[simple(f"r{n}", status="filed") for n in range(5)])
    base = "/v1/offices/KH/trademarks/records"
    cursor = hub.get(f"{base}?limit=2&status=filed").json()["nextCursor"]
    assert hub.get(f"{base}?limit=3&status=filed&cursor={cursor}").status_code == 200
    for query in (
        f"cursor={cursor}",
        f"status=x&cursor={cursor}",
        f"status=filed&cursor={cursor}A",
        f"status=filed&sort=-applicationNumber&cursor={cursor}",
    ):
        assert hub.get(f"{base}?{query}").json()["code"] == "invalid_request"
    assert hub.get(f"/v1/changes?cursor={cursor}").status_code == 400


def test_a_cursor_is_for_one_client(hub: Hub) -> None:
    hub.share("KH", {TM: frozenset()})
    hub.publish("KH", TM, *[simple(f"r{n}") for n in range(5)])
    other, _ = hub.ledger.clients.add(name="two", third_party="Acme", at=NOW, by="test")
    expires = NOW + dt.timedelta(minutes=5)
    hub.ledger.tokens.issue(other.clientId, sha256(b"theirs").digest(), expires, NOW)
    theirs = {"Authorization": "Bearer theirs"}
    for path in ("/v1/offices/KH/trademarks/records", "/v1/changes"):
        cursor = hub.get(f"{path}?limit=2").json()["nextCursor"]
        assert hub.get(f"{path}?limit=2&cursor={cursor}").status_code == 200
        assert hub.http.get(f"{path}?limit=2", headers=theirs).status_code == 200
        refused = hub.http.get(f"{path}?limit=2&cursor={cursor}", headers=theirs)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


def test_filters_and_search(hub: Hub) -> None:
    hub.share("KH", {TM: frozenset()})
    words = [{"text": "ដំរីស Elephant", "languageCode": "km"}]
    hub.publish(
        "KH",
        TM,
        simple("a", status="filed", markVerbalElements=words),
        simple("b", status="expired"),
    )

    def found(query: str) -> list[str]:
        answer = hub.get(f"/v1/offices/KH/trademarks/records?{query}")
        return [item["recordId"] for item in answer.json()["items"]]

    assert found("q=elePHANT") == found("status=filed") == found("q=ដំរី") == ["a"]
    assert found("status=filed,expired") == ["a", "b"]
    assert found("applicationNumber=B") == ["b"]
    assert found("q=%25%25") == []
    answer = hub.get("/v1/offices/KH/trademarks/records?ipc=A61K")
    assert answer.json()["code"] == "invalid_request"


def test_an_etag_is_of_what_the_client_sees(hub: Hub) -> None:
    hub.share("KH", {TM: frozenset({Disclosure.STAKEHOLDER})})
    path = "/v1/offices/KH/trademarks/records/a"
    hub.publish("KH", TM, simple("a", status="filed", applicants=[{"identifier": "Dara"}]))
    first = hub.get(path)
    hub.publish("KH", TM, simple("a", status="filed", applicants=[{"identifier": "Sophea"}]))
    etag = first.headers["etag"]
    assert (hub.get(path).headers["etag"], hub.get(path).content) == (etag, first.content)
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = hub.get(path, **{"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert hub.get(path, **{"If-None-Match": '"x"'}).status_code == 200
    hub.publish("KH", TM, simple("a", status="registered"))
    assert hub.get(path, **{"If-None-Match": etag}).status_code == 200
    hub.share("KH", {TM: frozenset()})
    assert hub.get(path).headers["cache-control"] == "private, no-store"


def test_a_withdrawn_record_is_told_to_who_could_see_it(hub: Hub) -> None:
    hub.share("KH", {TM: frozenset()})
    hub.publish("KH", TM, simple("a"))
    hub.publish("KH", TM, gone=("a",))
    answer = hub.get("/v1/offices/KH/trademarks/records/a")
    assert (answer.status_code, answer.json()["code"]) == (410, "record_withdrawn")
    hub.ledger.authorizations.revoke("KH", "Acme", NOW, "test")
    assert hub.get("/v1/offices/KH/trademarks/records/a").status_code == 404


def test_every_answer_has_its_request_id_and_safe_headers(hub: Hub) -> None:
    for path in ("/healthz", "/v1/me", "/nothing", "/v1/offices/KH/trademarks/records"):
        answer = hub.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "strict-transport-security" not in answer.headers, "http://"
        assert len(answer.headers["x-request-id"]) == 16
        if answer.status_code != 200:
            assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert (
        hub.get("/healthz", **{"X-Request-Id": "given-by-us"}).headers["x-request-id"]
        == "given-by-us"
    )
    assert len(hub.get("/healthz", **{"X-Request-Id": "a b"}).headers["x-request-id"]) == 16


def test_who_came_by_https_is_told_to_stay_there(hub: Hub) -> None:
    service = replace(hub.http.app.state.service, public_url="https://hub.example")  # type: ignore[attr-defined]
    with TestClient(create_app(service)) as http:
        for path in ("/healthz", "/v1/me", "/nothing"):
            stays = http.get(path).headers["strict-transport-security"]
            assert int(stays.partition("=")[2].partition(";")[0]) >= 31_536_000


def test_head_is_get_without_a_body(hub: Hub) -> None:
    head, get = hub.http.head("/v1/me"), hub.get("/v1/me")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


def test_what_nobody_expected_is_answered_without_its_cause(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the store")

    monkeypatch.setattr(ServingStore, "totals", fail)
    answer = hub.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert json.loads(answer.text)["requestId"] == answer.headers["x-request-id"]
