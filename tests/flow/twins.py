"""Two hubs that differ only in what one client may not see; loaded by ``conftest.py``.

World ``B`` has other values in every withheld field, deliveries that touch withheld fields
only, other offices' and other rights' records, other third parties, and records outside the
client's rows. Whatever the client asks, both must answer the same.
"""

import datetime as dt
import itertools
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.limits import Limits
from api.service import Service
from connectors.buckets import Buckets
from connectors.cursors import Cursors
from connectors.exports import builder
from connectors.exports.preparing import Exports
from connectors.exports.store import ExportStore
from connectors.ledger import Ledger
from connectors.receipts.journal import Journal
from connectors.rendering import render_fragments
from connectors.serving_store import Publication, ServingRow, ServingStore
from connectors.views import authorize
from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Member, Right, load_tables
from ipregister.row_rules import RowRule

NOW = dt.datetime(2026, 11, 26, 9, tzinfo=dt.UTC)
PUBLIC, TOKEN = "http://hub.test", "the-same-token-in-both-worlds"
TM, DESIGNS, PATENTS = Right.TRADEMARKS, Right.DESIGNS, Right.PATENTS
SHARED = (("KH", TM), ("TH", DESIGNS))
RULE = RowRule(applicationDateFrom=dt.date(2020, 1, 1))


class Frozen(dt.datetime):
    """A clock that stands still: when a file was made is in the answer."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return NOW.astimezone(tz)  # no Frozen: a manifest holds it, and msgspec knows no other


class AtOnce(Exports):
    """Prepares in this process what is asked for."""

    def start(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(builder, "datetime", Frozen)
            builder.drain(self.serving, self.store, self.receipts)


@dataclass
class World:
    """One hub; ``letter`` marks everything in it that the client may not see."""

    letter: str
    grant: Grant
    ledger: Ledger
    serving: ServingStore
    http: TestClient

    def publish(
        self,
        name: str,
        office: str,
        right: Right,
        numbers: Iterable[int],
        *,
        edition: str = "",
        hidden: str = "",
        gone: Iterable[int] = (),
    ) -> None:
        rows = [self._row(office, right, number, edition, hidden) for number in numbers]
        vanished = [(f"{office}{number:03d}", 1) for number in gone]
        self.serving.publish(Publication(name, office, right, NOW, rows, vanished))

    def send(self, request: "Asked") -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-Id": "the-same-one"}
        method, path, more, body = request
        return self.http.request(method, path, headers=headers | dict(more), content=body)

    def _row(self, office: str, right: Right, number: int, edition: str, hidden: str) -> ServingRow:
        hidden = hidden or self.letter
        row: dict[str, Any] = {}
        for field in load_tables()[right].fields:
            seen = field.disclosure in self.grant.allowed
            row[field.name] = _value(field, f"{number}{edition}" if seen else f"{number}{hidden}")
        record, filed = f"{office}{number:03d}", dt.date(2018 + number % 6, 1, 1 + number % 28)
        row |= {"recordId": record, "officeCode": office, "right": str(right)}
        row |= {"applicationNumber": f"{office}/{number:03d}", "applicationDate": filed.isoformat()}
        word = f"serunai{number}{edition}"
        shows_status = Disclosure.STATUS_CHANGE in self.grant.allowed
        return ServingRow(
            *(record, 1, f"{office}/{number:03d}", render_fragments(load_tables()[right], row)),
            applicationNumber=f"{office}/{number:03d}",
            applicationDate=filed,
            registrationNumber=f"R{number}",
            status="registered" if shows_status else f"st{hidden}",
            classes=(("nice", "5"), ("locarno", "14-03"), ("ipc", "A61K31/00")),
            searchText=word,
        )


def _value(member: Member, tag: str) -> Any:
    """Return a value of a member's type that carries ``tag`` wherever it can."""
    match member.type:
        case "date":
            return f"20{10 + sum(map(ord, tag)) % 15}-01-02"
        case "integer":
            return sum(map(ord, tag)) % 40
        case "boolean":
            return bool(sum(map(ord, tag)) % 2)
        case "texts":
            return [{"text": f"{member.name} {tag}", "languageCode": "en"}]
        case "strings":
            return [f"{member.name}{tag}"]
        case "struct":
            return {inner.name: _value(inner, tag) for inner in member.fields}
        case "list":
            return [{inner.name: _value(inner, tag) for inner in member.fields}]
        case _:
            words = member.values
            return words[sum(map(ord, tag)) % len(words)] if words else f"{member.name}{tag}"


Asked = tuple[str, str, tuple[tuple[str, str], ...], bytes]
"""Method, path with query, more headers, body."""


@dataclass
class Twins:
    """Both worlds, made side by side; ``old`` is a feed cursor from before the last deliveries.

    ``files`` counts the parts of prepared files that were compared.
    """

    a: World
    b: World
    old: str = ""
    files: int = 0

    def both(self, asked: Asked, turn: int) -> tuple[httpx.Response, httpx.Response]:
        """Ask both the same; whatever is drawn by lot is drawn alike."""
        answers = []
        for world in (self.a, self.b):
            with pytest.MonkeyPatch.context() as patch:
                lot = Random(turn)
                patch.setattr(secrets, "token_bytes", lambda n=32, lot=lot: lot.randbytes(n))
                patch.setattr(secrets, "token_hex", lambda n=32, lot=lot: lot.randbytes(n).hex())
                patch.setattr(
                    secrets, "token_urlsafe", lambda n=32, lot=lot: lot.randbytes(n).hex()
                )
                answers.append(world.send(asked))
        return answers[0], answers[1]


def open_twins(folder: Path, grant: Grant) -> Twins:
    """Return two hubs that differ only in what ``grant`` does not open."""
    (folder / "A").mkdir(parents=True)
    ledger = Ledger.open(f"sqlite:///{folder}/A/ledger.sqlite", pepper=b"p" * 32)
    client, _ = ledger.clients.add(name="one", third_party="Acme", at=NOW, by="test")
    hashed = sha256(TOKEN.encode()).digest()
    ledger.tokens.issue(client.clientId, hashed, NOW + dt.timedelta(minutes=10), NOW, None)
    ledger.close()
    shutil.copytree(folder / "A", folder / "B")
    twins = Twins(*(_open(folder / letter, letter, grant) for letter in "AB"))
    for world in (twins.a, twins.b):
        _fill(world, grant)
        page = world.send(("GET", "/v1/changes", (), b"")).json()
        twins.old = page["nextCursor"]
        _go_on(world)
    return twins


def _open(folder: Path, letter: str, grant: Grant) -> World:
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(folder / "serving.sqlite")
    key = b"l" * 32
    service = Service(
        *(ledger, serving, Cursors(b"k" * 32), PUBLIC, lambda: NOW),
        limits=Limits(
            quotas=Buckets(folder / "quotas", key=key),
            failures=Buckets(folder / "failures", key=key),
            requests=1_000_000,
            rows=100_000_000,
        ),
        exports=AtOnce(serving.path, ExportStore(folder / "exports"), folder / "receipts"),
        receipts=Journal(folder / "receipts"),
    )
    http = TestClient(create_app(service), base_url=PUBLIC, raise_server_exceptions=False)
    return World(letter, grant, ledger, serving, http)


def _fill(world: World, grant: Grant) -> None:
    world.publish("D1", "KH", TM, range(12))
    world.publish("D2", "TH", DESIGNS, range(6))
    for office, right in SHARED:
        _authorize(world, office, {right: grant})
    if world.letter == "B":
        world.ledger.clients.add(name="two", third_party="Bora", at=NOW, by="test")
        _authorize(world, "VN", {TM: Grant(frozenset(Disclosure))}, "Bora")
        world.publish("X1", "VN", TM, range(5))
        world.publish("X2", "KH", PATENTS, range(5))
        if grant.rule is not None:  # more records, all outside the client's rows
            world.publish("X3", "KH", TM, (18, 24, 25))


def _go_on(world: World) -> None:
    if world.letter == "B" and len(world.grant.allowed) < len(Disclosure):
        world.publish("X4", "KH", TM, (4, 5), hidden="Z")
        world.publish("X5", "TH", DESIGNS, (2,), hidden="Z")
        if world.grant.rule is not None:
            world.publish("X6", "KH", TM, (18,), edition="e", gone=(24,))
    world.publish("D3", "KH", TM, (2, 12), edition="new", gone=(3,))
    world.publish("D4", "TH", DESIGNS, (5,), edition="new")


def _authorize(
    world: World, office: str, grants: Mapping[Right, Grant], third_party: str = "Acme"
) -> None:
    authorize(
        *(world.ledger, world.serving),
        office=office,
        third_party=third_party,
        decision=Decision(grants),
        clock=lambda: NOW,
        by="test",
    )


# --- what is asked ---------------------------------------------------------------------------

FORMS = (
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/xml",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "image/png",
)
VALUES: dict[str, tuple[str, ...]] = {
    "applicationNumber": ("KH/004", "KH/018", "nonsense", ""),
    "applicationDateFrom": ("2020-01-01", "2020-02-30"),
    "applicationDateTo": ("2021-12-31",),
    "registrationNumber": ("R4", "R18"),
    "status": ("registered", "stA", "stB", "nonsense"),
    "niceClass": ("5", "99"),
    "ipc": ("A61K",),
    "locarnoClass": ("14",),
    "q": ("serunai4", "veldaraB", "x"),
    "limit": ("1", "3", "1000", "0", "x"),
    "cursor": ("nonsense",),
    "fields": ("recordId", "nonsense"),
    "count": ("exact", "estimate", "none", "nonsense"),
    "sort": ("applicationNumber", "-applicationNumber", "-applicationNumber,status", "nonsense"),
}
GONE = ("KH000", "KH003", "KH004", "KH018", "TH002", "VN001", "nonsense")


def _get(path: str, **headers: str) -> Asked:
    return ("GET", path, tuple(headers.items()), b"")


def requests_for(description: Mapping[str, Any], old: str) -> Iterator[Asked]:
    """Yield requests over every route and parameter of the description, and wrong ones."""
    places = [f"/v1/offices/{office}/{right}" for office, right in SHARED]
    for place in places:
        right = Right(place.rpartition("/")[2])
        fields = load_tables()[right].fields
        for name, values in VALUES.items():
            yield from (_get(f"{place}/records?{name}={value}") for value in values)
        for field in fields:
            yield _get(f"{place}/records?fields=recordId,{field.name}&limit=4")
            yield _get(f"{place}/records?{field.name}=x")
            yield _get(f"{place}/records?sort={field.name}")
            yield _get(f"{place}/records?sort=-{field.name}&limit=4")
        for more in ("limit=1", "limit=3&q=serunai", "status=registered&limit=2", "niceClass=5"):
            yield _get(f"{place}/records?sort=-applicationNumber&{more}")
        for more in ("status=registered", "niceClass=5,35", "q=serunai", "status=stB", "ipc=A61K"):
            for count in ("exact", "estimate"):
                yield _get(f"{place}/records?count={count}&limit=2&{more}")
        for query in (
            "",
            "?sort=-applicationNumber",
            "?sort=-applicationNumber&limit=2&count=exact",
        ):
            yield from (_get(f"{place}/records{query}", Accept=form) for form in FORMS)
        for record in GONE:
            yield _get(f"{place}/records/{record}")
        yield from (_get(f"{place}/records/KH004", Accept=form) for form in FORMS)
        yield _get(f"{place}/records/KH004?fields=applicants")
        yield _get(f"{place}/records/KH004", **{"If-None-Match": "*"})
    for query in ("", "?limit=2", "?office=KH", "?right=designs", "?office=VN", "?cursor=x"):
        yield _get(f"/v1/changes{query}")
        yield _get(f"/v1/changes{query}", Accept="application/x-ndjson")
    yield _get(f"/v1/changes?cursor={old}")
    yield _get(f"/v1/changes?limit=1&cursor={old}")
    for office, right, form in itertools.product(("KH", "VN"), ("trademarks", "patents"), FORMS):
        body = {"office": office, "right": right, "format": form.rpartition("/")[2]}
        yield _export(body)
    for form in ("parquet", "ndjson", "csv"):
        yield _export({"office": "KH", "right": "trademarks", "format": form})
        yield _export({"office": "TH", "right": "designs", "format": form})
    yield _export({"office": "KH", "right": "trademarks", "filters": {"status": "registered"}})
    for form in ("parquet", "csv", "parquet"):  # a key again, for another wish and for the same
        body = {"office": "KH", "right": "trademarks", "format": form}
        yield _export(body, **{"Idempotency-Key": "k"})
    yield from _every_route(description)


def _export(body: Mapping[str, Any], **headers: str) -> Asked:
    form = (("Content-Type", "application/json"), *headers.items())
    return ("POST", "/v1/exports", form, json.dumps(body).encode())


def _every_route(description: Mapping[str, Any]) -> Iterator[Asked]:
    """Yield every method of every path, with names that exist here, there and nowhere."""
    pools = {
        "office": ("KH", "VN"),
        "right": ("trademarks", "patents"),
        "recordId": ("KH004", "VN001"),
        "share": ("KH", "VN"),
        "schema": ("register",),
        "table": ("trademarks", "patents"),
    }
    for path, methods in description["paths"].items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        for chosen in itertools.product(*(pools.get(name, ("X-1",)) for name in names)):
            filled = path
            for name, value in zip(names, chosen, strict=True):
                filled = filled.replace(f"{{{name}}}", value)
            for method in methods:
                if not path.startswith("/oauth2"):
                    yield (method.upper(), filled, (("Content-Type", "application/json"),), b"{}")
            yield ("HEAD", filled, (), b"")
            yield ("DELETE", filled, (), b"")


def follow(answer: httpx.Response) -> Iterator[Asked]:
    """Yield what a client would ask next: pages, jobs, files, the same again if it changed."""
    if (etag := answer.headers.get("etag")) and answer.request.method == "GET":
        yield _get(_path(str(answer.request.url)), **{"If-None-Match": etag})
    if job := answer.headers.get("location", "") if answer.status_code == 202 else "":
        yield _get(job)
        yield ("DELETE", job, (), b"")
    for link in answer.links.values():
        yield _get(_path(link["url"]))
    kind = answer.headers.get("content-type", "")
    if kind.endswith("json") and "ndjson" not in kind and answer.content:
        for address in _addresses(answer.json()):
            yield _get(_path(address))
            if "snapshots" in address or "files" in address:
                yield _get(_path(address), Range="bytes=10-40")


def _addresses(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            yield from _addresses(value)
    elif isinstance(document, str) and document.startswith(PUBLIC):
        yield document


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")
