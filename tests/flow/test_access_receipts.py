"""Who read what: every answer with records leaves a receipt, and the receipts are the reads."""

import errno
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.ledger import Ledger
from connectors.receipts import journal
from connectors.receipts.journal import Journal, read_journal
from connectors.receipts.reading import AccessReceipt, Asked, Receipts
from connectors.receipts.sealing import open_journals
from connectors.rendering import render_fragments
from connectors.serving.gaps import forget_places
from connectors.serving.schema import connect
from connectors.serving_store import Publication, ServingRow, ServingStore
from ipregister.model import Disclosure, Right, load_tables

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
PARTIES = ("Acme", "Bora")
SPACES = [(office, right) for office in ("KH", "TH") for right in (Right.TRADEMARKS, Right.PATENTS)]

Read = tuple[str, str, str, str, int]
"""Third party, office, right, record, version of the authorization."""


@dataclass
class World:
    """A hub with two third parties; ``got`` is what they were given, counted by themselves."""

    ledger: Ledger
    serving: ServingStore
    receipts: Path
    http: TestClient
    tokens: dict[str, str]
    got: Counter[Read] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    deliveries: int = 0

    def get(self, party: str, path: str, **headers: str) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {self.tokens[party]}"}
        return self.http.get(path, headers=bearer | headers)

    def share(self, office: str, party: str, *withheld: Disclosure) -> None:
        rights = dict.fromkeys((Right.TRADEMARKS, Right.PATENTS), frozenset(withheld))
        self.ledger.authorizations.set(office, party, rights, None, NOW, "test")

    def publish(self, office: str, right: Right, *names: str, gone: tuple[str, ...] = ()) -> None:
        self.deliveries += 1
        rows = [_row(office, right, name, self.deliveries) for name in names]
        vanished = [(name, 1) for name in gone]
        delivery = f"D-{self.deliveries}"
        self.serving.publish(Publication(delivery, office, right, NOW, rows, vanished))

    def versions(self, party: str) -> dict[str, int]:
        found = self.get(party, "/v1/me").json()["authorizations"]
        return {entry["officeCode"]: entry["version"] for entry in found}

    def written(self) -> tuple[Counter[Read], Counter[tuple[str, str, str]]]:
        """Return what the receipts say was given, and what was taken back."""
        given: Counter[Read] = Counter()
        taken: Counter[tuple[str, str, str]] = Counter()
        for path in open_journals(self.receipts):
            for one in read_journal(path):
                for name in one.records:
                    given[one.thirdParty, one.office, one.right, name, one.version] += 1
                for name in one.retracted:
                    taken[one.thirdParty, one.office, name] += 1
        return given, taken


def _row(office: str, right: Right, name: str, change: int) -> ServingRow:
    row: dict[str, Any] = {"recordId": name, "officeCode": office, "right": str(right)}
    row |= {"applicationNumber": f"{office}/{name}/{change}"}
    row |= {"applicants": [{"names": [{"text": "Veldara Co., Ltd."}]}]}
    return ServingRow(name, change, name, render_fragments(load_tables()[right], row))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", pepper=b"p" * 32)
    serving = ServingStore(tmp_path / "serving.sqlite")
    written = Journal(tmp_path / "receipts")
    service = Service(
        *(ledger, serving, Cursors(b"k" * 32), "http://hub.test", lambda: NOW), receipts=written
    )
    with TestClient(create_app(service)) as http:
        tokens = {}
        for party in PARTIES:
            client, secret = ledger.clients.add(name=party, third_party=party, at=NOW, by="test")
            form = {"grant_type": "client_credentials", "client_id": client.clientId}
            answer = http.post("/oauth2/token", data=form | {"client_secret": str(secret)})
            tokens[party] = answer.json()["access_token"]
        yield World(ledger, serving, written.root, http, tokens)
    written.close()
    serving.close()
    ledger.close()


def test_the_receipts_of_a_random_run_are_exactly_what_was_read(world: World) -> None:
    chance = random.Random(20261126)
    cursors: dict[str, str] = {}
    published: dict[tuple[str, Right], set[str]] = {space: set() for space in SPACES}
    for _ in range(400):
        party, (office, right) = chance.choice(PARTIES), chance.choice(SPACES)
        match chance.randrange(7):
            case 0:
                names = {f"R{chance.randrange(60)}" for _ in range(5)}
                gone = (
                    tuple(chance.sample(sorted(published[office, right] - names), 1))
                    if (published[office, right] - names)
                    else ()
                )
                world.publish(office, right, *sorted(names), gone=gone)
                published[office, right] = (published[office, right] | names) - set(gone)
            case 1:
                withheld = chance.sample([Disclosure.STAKEHOLDER, Disclosure.EXAMINATION], 1)
                world.share(office, party, *withheld[: chance.randrange(2)])
            case 2 if world.versions(party).get(office) and chance.random() < 0.2:
                world.ledger.authorizations.revoke(office, party, NOW, "test")
            case 3:
                _read_one(world, party, office, right, f"R{chance.randrange(60)}")
            case 4 | 5:
                _read_pages(world, party, office, right, chance.choice(["json", "csv", "x-ndjson"]))
            case 6:
                _follow(world, party, cursors)
                _stream(world, party, office, right)
    given, taken = world.written()
    assert given == world.got
    assert taken == world.dropped
    assert sum(given.values()) > 1_000
    assert sum(taken.values()) > 20


def _read_one(world: World, party: str, office: str, right: Right, name: str) -> None:
    version = world.versions(party).get(office, 0)
    answer = world.get(party, f"/v1/offices/{office}/{right}/records/{name}")
    if answer.status_code == 200:
        world.got[party, office, str(right), answer.json()["recordId"], version] += 1
        etag = {"If-None-Match": answer.headers["etag"]}
        again = world.get(party, f"/v1/offices/{office}/{right}/records/{name}", **etag)
        bearer = {"Authorization": f"Bearer {world.tokens[party]}"}
        head = world.http.head(f"/v1/offices/{office}/{right}/records/{name}", headers=bearer)
        assert (again.status_code, head.headers["etag"]) == (304, answer.headers["etag"])
        world.got[party, office, str(right), name, version] += 2  # told: it is still the same


def _read_pages(world: World, party: str, office: str, right: Right, form: str) -> None:
    version = world.versions(party).get(office, 0)
    path: str | None = f"/v1/offices/{office}/{right}/records?limit=7"
    while path:
        json_page = world.get(party, path)
        if json_page.status_code != 200:
            return
        names = [record["recordId"] for record in json_page.json()["items"]]
        times = 1
        if form != "json":
            kind = "text/csv" if form == "csv" else "application/x-ndjson"
            assert world.get(party, path, Accept=kind).status_code == 200
            times = 2
        for name in names:
            world.got[party, office, str(right), name, version] += times
        link = json_page.links.get("next", {}).get("url", "")
        path = link.removeprefix("http://hub.test") or None


def _stream(world: World, party: str, office: str, right: Right) -> None:
    version = world.versions(party).get(office, 0)
    path = f"/v1/offices/{office}/{right}/records"
    answer = world.get(party, path, Accept="application/x-ndjson")
    if answer.status_code == 200:
        for line in answer.text.splitlines():
            name = json.loads(line)["recordId"]
            world.got[party, office, str(right), name, version] += 1


def _follow(world: World, party: str, cursors: dict[str, str]) -> None:
    versions = world.versions(party)
    cursor = cursors.get(party)
    while True:
        query = f"?limit=9{f'&cursor={cursor}' if cursor else ''}"
        page = world.get(party, f"/v1/changes{query}").json()
        for item in page["items"]:
            office, name = item["officeCode"], item["recordId"]
            if item["changeType"] == "upsert":
                key = (party, office, item["right"], name, versions.get(office, 0))
                world.got[key] += 1
            else:
                world.dropped[party, office, name] += 1
        cursor = cursors[party] = page["nextCursor"]
        if not page["hasMore"]:
            return


def test_an_answer_without_records_leaves_no_receipt(world: World) -> None:
    world.share("KH", "Acme")
    for path in ("/v1/me", "/v1/offices", "/v1/offices/KH/trademarks/records", "/v1/changes"):
        assert world.get("Acme", path).status_code == 200
    assert world.get("Acme", "/v1/offices/KH/trademarks/records/R1").status_code == 404
    assert world.get("Bora", "/v1/offices/KH/trademarks/records").status_code == 404
    assert open_journals(world.receipts) == []


def test_what_is_taken_back_counts_as_done_when_the_reader_comes_back(world: World) -> None:
    world.share("KH", "Acme")
    world.publish("KH", Right.TRADEMARKS, "R1", "R2")
    first = world.get("Acme", "/v1/changes").json()["nextCursor"]
    world.ledger.authorizations.revoke("KH", "Acme", NOW, "test")
    second = world.get("Acme", f"/v1/changes?cursor={first}").json()
    assert [item["changeType"] for item in second["items"]] == ["retract", "retract"]
    receipts = Receipts(world.receipts)

    def found() -> list[AccessReceipt]:  # the clock stands still
        return sorted(receipts.find(Asked("KH"), limit=10), key=lambda one: one.retracted)

    (read, retraction) = found()
    assert (read.records, retraction.retracted, retraction.acknowledgedAt) == (2, 2, None)
    world.get("Acme", f"/v1/changes?cursor={second['nextCursor']}")
    assert found()[-1].acknowledgedAt == NOW


def test_what_is_taken_back_counts_as_done_also_where_the_feed_begins_anew(world: World) -> None:
    """Its cursor says that it has dropped them, whatever store there is meanwhile."""
    world.share("KH", "Acme")
    world.publish("KH", Right.TRADEMARKS, "R1", "R2")
    first = world.get("Acme", "/v1/changes").json()["nextCursor"]
    world.publish("KH", Right.TRADEMARKS, gone=("R1",))
    second = world.get("Acme", f"/v1/changes?cursor={first}").json()
    assert [item["changeType"] for item in second["items"]] == ["delete"]
    with closing(connect(world.serving.path, writer=True)) as rebuilt:
        forget_places(rebuilt, NOW, whole=True)
    again = world.get("Acme", f"/v1/changes?cursor={second['nextCursor']}")
    assert (again.status_code, again.json()["code"]) == (410, "resync_required")
    (usage,) = Receipts(world.receipts).usage(Asked("KH"))
    assert usage.retractionsOpen == 0


def test_an_answer_that_cannot_be_written_down_is_not_given(world: World) -> None:
    world.share("KH", "Acme")
    world.publish("KH", Right.TRADEMARKS, "R1")
    world.receipts.parent.joinpath("receipts").write_text("in the way")
    answer = world.get("Acme", "/v1/offices/KH/trademarks/records/R1")
    assert answer.status_code == 503
    assert "Veldara" not in answer.text


def test_the_hub_is_not_ready_while_no_receipt_can_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish("KH", Right.TRADEMARKS, "R1")
    world.share("KH", "Acme")

    def told() -> list[int]:
        paths = ("/v1/offices/KH/trademarks/records", "/readyz")
        return [world.get("Acme", path).status_code for path in paths]

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert told() == [200, 200]
    with monkeypatch.context() as disk:
        disk.setattr(Journal, "_write", full)
        disk.setattr(journal, "TemporaryFile", full)
        assert told() == [503, 503]
    assert world.http.get("/readyz").status_code == 200  # which brings the readers back
    assert told() == [200, 200]
