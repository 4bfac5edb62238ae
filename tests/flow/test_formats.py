"""Third parties read in the form they ask for: the same records, nothing that is withheld."""

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from lxml import etree

from api import answers
from api.answers import WORTH_COMPRESSING
from api.app import create_app
from api.negotiation import FEED_FORMATS
from api.service import Service
from connectors.cursors import Cursors
from connectors.exports.formats import MEDIA_TYPES, Format
from connectors.ledger import Ledger
from connectors.receipts.journal import Journal
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow, ServingStore
from ipregister.model import Disclosure, Right, load_tables

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
TM = Right.TRADEMARKS
BASE = "/v1/offices/KH/trademarks/records"


def mark(number: int, **values: Any) -> ServingRow:
    row: dict[str, Any] = {
        "recordId": f"r{number:04d}",
        "officeCode": "KH",
        "applicationNumber": f"KH/{number:04d}",
        "markVerbalElements": [{"text": f"ដំរី {number}", "languageCode": "km"}],
        "applicants": [{"identifier": "Dara"}],
        "status": "filed",
    } | values
    return ServingRow(
        row["recordId"],
        1,
        row["applicationNumber"],
        render_fragments(load_tables()[TM], row),
        applicationNumber=row["applicationNumber"],
        status="filed",
    )


@pytest.fixture
def http(tmp_path: Path) -> Iterator[TestClient]:
    """A client that may see trademarks of KH, but no stakeholders."""
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(tmp_path / "serving.sqlite")
    serving.publish(Publication("D-1", "KH", TM, NOW, [mark(number) for number in range(25)]))
    service = Service(
        ledger,
        serving,
        Cursors(b"k" * 32),
        "http://hub.test",
        lambda: NOW,
        receipts=Journal(tmp_path / "receipts"),
    )
    client, secret = ledger.clients.add(name="one", third_party="Acme", at=NOW, by="test")
    ledger.authorizations.set("KH", "Acme", {TM: {Disclosure.STAKEHOLDER}}, None, NOW, "test")
    form = {"grant_type": "client_credentials", "client_id": client.clientId}
    with TestClient(create_app(service), raise_server_exceptions=False) as opened:
        token = opened.post("/oauth2/token", data=form | {"client_secret": str(secret)}).json()
        opened.headers["Authorization"] = f"Bearer {token['access_token']}"
        yield opened
    serving.close()
    ledger.close()


def records(kind: Format, answer: httpx.Response) -> list[dict[str, Any]]:
    """Return what an answer holds; of XML only the identifiers."""
    match kind:
        case Format.JSON:
            document = answer.json()
            return list(document.get("items", [document]))
        case Format.NDJSON:
            return [json.loads(line) for line in answer.text.splitlines()]
        case Format.CSV:
            return list(csv.DictReader(io.StringIO(answer.text, newline="")))
        case Format.PARQUET:
            return list(pq.read_table(pa.BufferReader(answer.content)).to_pylist())
        case Format.ARROW:
            return list(pa.ipc.open_stream(answer.content).read_all().to_pylist())
        case Format.XML:
            name = "{urn:asean-ip-hub:register:1}recordId"
            return [{"recordId": node.findtext(name)} for node in etree.fromstring(answer.content)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("kind", Format)
def test_pages_and_records_are_to_be_had_in_every_form(
    http: TestClient, kind: Format, *, descending: bool
) -> None:
    accept = {"Accept": MEDIA_TYPES[kind]}
    seen: list[str] = []
    url: str | None = f"{BASE}?limit=10{'&sort=-applicationNumber' if descending else ''}"
    while url:
        page = http.get(url, headers=accept)
        assert page.status_code == 200, page.text
        assert page.headers["content-type"].startswith(MEDIA_TYPES[kind])
        assert page.headers["vary"] == "Authorization, Accept, Accept-Encoding"
        found = records(kind, page)
        assert "applicants" not in found[0]
        assert b"Dara" not in page.content
        seen += [item["recordId"] for item in found]
        url = page.links["next"]["url"].removeprefix("http://hub.test") if page.links else None
    assert seen == sorted((f"r{number:04d}" for number in range(25)), reverse=descending)
    one = http.get(f"{BASE}/r0003", headers=accept)
    assert [item["recordId"] for item in records(kind, one)] == ["r0003"]
    name = one.headers.get("content-disposition")
    assert name == (None if kind is Format.JSON else f'attachment; filename="KH-trademarks.{kind}"')


def test_every_form_has_its_own_etag(http: TestClient) -> None:
    etags = {}
    for kind in Format:
        accept = {"Accept": MEDIA_TYPES[kind]}
        etags[kind] = http.get(f"{BASE}/r0003", headers=accept).headers["etag"]
        same = http.get(f"{BASE}/r0003", headers=accept | {"If-None-Match": etags[kind]})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etags[kind])
    assert len(set(etags.values())) == len(Format)


def test_a_form_nobody_has_is_refused_with_those_there_are(http: TestClient) -> None:
    for path in (BASE, f"{BASE}/r0003"):
        answer = http.get(path, headers={"Accept": "image/png, text/html"})
        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
        for media_type in MEDIA_TYPES.values():
            assert media_type in answer.json()["detail"]
    feed = http.get("/v1/changes", headers={"Accept": "text/csv"})
    assert feed.json()["detail"] == "Available here: application/json, application/x-ndjson."


def test_an_accept_that_says_nothing_is_none(http: TestClient) -> None:
    for accept in ("", " , "):
        answer = http.get(f"{BASE}/r0003", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("kind", Format)
def test_fields_narrow_every_form(http: TestClient, kind: Format) -> None:
    for path in (f"{BASE}?limit=1&", f"{BASE}/r0000?"):
        query = f"{path}fields=applicationNumber,status"
        answer = http.get(query, headers={"Accept": MEDIA_TYPES[kind]})
        assert answer.status_code == 200, answer.text
        assert b"KH/0000" in answer.content
        if kind is not Format.XML:
            (found,) = records(kind, answer)
            assert found.keys() == {"recordId", "applicationNumber", "status"}
        assert "ដំរី" not in answer.content.decode(errors="replace")


def test_a_field_that_is_withheld_and_one_that_never_was_are_alike(http: TestClient) -> None:
    for path in (f"{BASE}?", f"{BASE}/r0000?", f"{BASE}/never?"):
        answers = [
            http.get(f"{path}fields=status,{name}", headers={"X-Request-Id": "the-same-id"})
            for name in ("applicants", "nonsense", "owners")
        ]
        assert {(a.status_code, a.content) for a in answers} == {(400, answers[0].content)}
        assert answers[0].json()["code"] == "field_not_available"


def test_the_feed_is_to_be_had_line_by_line(http: TestClient) -> None:
    whole = http.get("/v1/changes").json()
    lines: list[Any] = []
    path, more = "/v1/changes?limit=10", "true"
    while more == "true":
        page = http.get(path, headers={"Accept": "application/x-ndjson"})
        lines += [json.loads(line) for line in page.text.splitlines()]
        more = page.headers["has-more"]
        assert page.headers["next-cursor"] in page.links["next"]["url"]
        path = f"/v1/changes?limit=10&cursor={page.headers['next-cursor']}"
    assert lines == whole["items"]
    assert len(lines) == 25


def test_a_stream_has_everything_whatever_its_number(http: TestClient) -> None:
    accept = {"Accept": MEDIA_TYPES[Format.NDJSON], "Accept-Encoding": "identity"}
    one_by_one: list[Any] = []
    url: str | None = f"{BASE}?limit=7"
    while url:
        page = http.get(url)
        one_by_one += page.json()["items"]
        url = page.links["next"]["url"].removeprefix("http://hub.test") if page.links else None
    answer = http.get(BASE, headers=accept)
    assert [json.loads(line) for line in answer.text.splitlines()] == one_by_one
    assert answer.headers["vary"] == "Authorization, Accept, Accept-Encoding"
    assert "content-length" not in answer.headers
    assert b"Dara" not in answer.content
    turned = http.get(f"{BASE}?sort=-applicationNumber", headers=accept)
    assert turned.text.splitlines() == answer.text.splitlines()[::-1]
    some = http.get(f"{BASE}?fields=status&status=filed", headers=accept)
    assert some.text.splitlines()[-1] == '{"recordId":"r0024","status":"filed"}'


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("gzip", "gzip"),
        ("zstd, gzip", "zstd"),
        ("zstd;q=0.1, gzip;q=0.9", "gzip"),
        ("gzip;q=0, identity", None),
        ("zstd;q=0, identity", None),
        ("br", None),
    ],
)
def test_a_stream_is_compressed_on_request(http: TestClient, asked: str, given: str | None) -> None:
    accept = {"Accept": MEDIA_TYPES[Format.NDJSON]}
    plain = http.get(BASE, headers=accept | {"Accept-Encoding": "identity"}).content
    with http.stream("GET", BASE, headers=accept | {"Accept-Encoding": asked}) as answer:
        assert answer.headers.get("content-encoding") == given
        data = b"".join(answer.iter_raw())
    if given:
        data = pa.CompressedInputStream(pa.BufferReader(data), given).read()
    assert data == plain


def raw(http: TestClient, path: str, headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
    """Return an answer and its bytes as they came."""
    with http.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *((f"{BASE}?limit=20", kind) for kind in Format),
        *(("/v1/changes?limit=20", kind) for kind in FEED_FORMATS),
    ],
)
def test_a_page_is_compressed_for_who_asks_and_the_same(
    http: TestClient, path: str, kind: Format, encoding: str
) -> None:
    accept = {"Accept": MEDIA_TYPES[kind]}
    plain, body = raw(http, path, accept | {"Accept-Encoding": "identity"})
    answer, data = raw(http, path, accept | {"Accept-Encoding": encoding})
    assert len(body) > WORTH_COMPRESSING
    assert "content-encoding" not in plain.headers
    assert int(answer.headers["content-length"]) == len(data)
    if kind is Format.PARQUET:
        assert (data, "content-encoding" in answer.headers) == (body, False)
        return
    assert answer.headers["content-encoding"] == encoding
    assert len(data) < len(body)
    assert pa.CompressedInputStream(pa.BufferReader(data), encoding).read() == body
    coded = {"content-encoding", "content-length", "x-request-id"}
    others = [{n: v for n, v in a.headers.items() if n not in coded} for a in (plain, answer)]
    assert others[0] == others[1]
    head = http.head(path, headers=accept | {"Accept-Encoding": encoding})
    assert head.headers["content-length"] == answer.headers["content-length"]
    assert raw(http, path, accept | {"Accept-Encoding": encoding})[1] == data


def test_a_compressed_record_has_a_weak_etag_and_is_unchanged_by_either(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{BASE}/r0003"
    small = http.get(path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers
    monkeypatch.setattr(answers, "WORTH_COMPRESSING", 10)
    monkeypatch.setattr(answers, "WORTH_A_THREAD", 11)
    strong = http.get(path, headers={"Accept-Encoding": "identity"})
    weak = http.get(path, headers={"Accept-Encoding": "gzip"})
    assert strong.headers["etag"] == small.headers["etag"]
    assert weak.headers["etag"] == f"W/{strong.headers['etag']}"
    assert weak.headers["content-encoding"] == "gzip"
    assert weak.content == strong.content == small.content
    for coding, told in (("identity", strong), ("gzip", weak)):
        for known in (strong, weak):
            asked = {"Accept-Encoding": coding, "If-None-Match": known.headers["etag"]}
            same = http.get(path, headers=asked)
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == told.headers["etag"]
            assert same.headers["vary"] == told.headers["vary"]
