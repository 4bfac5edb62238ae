"""A client's job for a file: asked for twice, told about, and given up."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from api import delta_sharing
from connectors.exports import builder
from connectors.exports.store import ExportStore
from connectors.exports.tasks import Task
from connectors.serving.schema import connect
from connectors.views import authorize
from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

TABLES = "/delta-sharing/shares/KH/schemas/register/tables"


def ask(
    hub: Any, key: str | None = None, *, by: dict[str, str] | None = None, **asked: Any
) -> httpx.Response:
    body = {"office": "KH", "right": "trademarks"} | asked
    headers = (by or {}) | ({} if key is None else {"Idempotency-Key": key})
    answer: httpx.Response = hub.http.post("/v1/exports", json=body, headers=headers)
    return answer


def test_a_key_is_the_same_job_whatever_has_changed_since(third_parties: Any) -> None:
    hub = third_parties
    hub.share(Disclosure.STAKEHOLDER)
    hub.publish(hub.mark("a", status="filed"))
    first = ask(hub, "k").json()
    hub.publish(hub.mark("a", status="registered"))
    again = ask(hub, "k", format="parquet")  # what is meant where nothing is said
    assert (again.status_code, again.json()) == (202, first)
    assert again.headers["location"] == f"/v1/jobs/{first['jobId']}"
    assert ask(hub, "another").json()["jobId"] != first["jobId"]
    assert ask(hub).json()["jobId"] != first["jobId"]
    for other in ({"format": "csv"}, {"filters": {"status": "filed"}}):
        refused = ask(hub, "k", **other)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert ask(hub, "k" * 256).status_code == 400
    bora = hub.login("Bora")
    hub.share(name="Bora")
    theirs = ask(hub, "k", by=bora, format="csv")
    assert theirs.status_code == 202  # a key is its client's own
    hub.share(Disclosure.STAKEHOLDER, Disclosure.STATUS_CHANGE)
    assert ask(hub, "k").status_code == 404  # it was a file of more than may be seen now


def table_file(hub: Any) -> str:
    """Return the address of the file of a Delta table that is prepared."""
    answer = hub.http.post(f"{TABLES}/trademarks/query", json={})
    return str(json.loads(answer.text.splitlines()[2])["file"]["url"])


def test_the_address_of_a_table_ends_and_there_is_one_schema(
    third_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    ask(hub)
    hub.exports.prepare()
    assert hub.get(table_file(hub)).status_code == 200
    monkeypatch.setattr(delta_sharing, "ADDRESS_LIFE", timedelta(seconds=-1))
    assert hub.get(table_file(hub)).status_code == 404
    for path, status in ((TABLES, 200), (TABLES.replace("register", "other"), 404)):
        for what in ("version", "metadata"):
            assert hub.get(f"{path}/trademarks/{what}").status_code == status
    assert "nextPageToken" not in hub.get("/delta-sharing/shares?maxResults=1").json()
    for then in ({"timestamp": "2026-01-01"}, {"startingVersion": 0}, {"endingVersion": 1}):
        assert hub.http.post(f"{TABLES}/trademarks/query", json=then).status_code == 400


@pytest.mark.parametrize(
    "fewer", [{"rule": RowRule(publishedOnly=True)}, {"freeText": False}], ids=str
)
def test_a_file_of_everything_is_gone_when_records_or_free_text_are_left_out(
    third_parties: Any, fewer: dict[str, Any]
) -> None:
    hub, everything = third_parties, Grant(frozenset(Disclosure))

    def decide(grant: Grant) -> None:
        authorize(
            *(hub.ledger, hub.serving),
            office="KH",
            third_party="Acme",
            decision=Decision({Right.TRADEMARKS: grant}),
            clock=hub.service.clock,
            by="test",
        )

    decide(everything)
    hub.publish(hub.mark("a"))
    job = ask(hub, "k").headers["location"]
    hub.exports.prepare()
    (download,) = hub.get(job).json()["downloads"]
    addresses = (job, download["url"], table_file(hub))
    assert [hub.get(address).status_code for address in addresses] == [200] * 3
    decide(replace(everything, **fewer))
    assert [hub.get(address).status_code for address in addresses] == [404] * 3
    assert ask(hub, "k").status_code == 404
    decide(everything)
    assert [hub.get(address).status_code for address in addresses] == [200] * 3
    decide(replace(everything, **fewer))
    with closing(connect(hub.serving.path, writer=True)) as anew:
        anew.execute("DELETE FROM space")  # a new store, in which nothing is published yet
    assert [hub.get(address).status_code for address in addresses] == [404] * 3


def test_a_job_says_since_when_it_is_there_and_how_far(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    made = ask(hub)
    waiting = hub.get(made.headers["location"])
    at = "2026-05-01T12:00:00Z"
    assert waiting.json() == made.json()
    assert waiting.json() == made.json() | {
        "status": "RECEIVED",
        "progress": 0,
        "createdDateTime": at,
        "updatedDateTime": at,
    }
    assert waiting.headers["retry-after"] == "2"
    hub.exports.prepare()
    done = hub.get(made.headers["location"])
    assert (done.json()["status"], done.json()["progress"]) == ("COMPLETED", 100)
    assert done.json()["createdDateTime"] == at < done.json()["updatedDateTime"]
    assert "retry-after" not in done.headers


def test_a_cancelled_job_is_not_prepared_and_may_be_asked_for_again(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    job = ask(hub, "k").headers["location"]
    for _ in range(2):  # an answer may get lost
        ended = hub.http.delete(job)
        assert (ended.status_code, ended.json()["status"]) == (202, "CANCELLED")
        assert ended.headers["location"] == job
    hub.exports.prepare()
    assert not list(hub.exports.store.files.iterdir())
    told = hub.get(job)
    assert (told.json()["status"], "downloads" in told.json()) == ("CANCELLED", False)
    assert "retry-after" not in told.headers
    assert ask(hub, "k").json()["status"] == "CANCELLED"  # the same request: it is over
    assert ask(hub, "k2").json()["status"] == "RECEIVED"  # another wish for the same
    hub.exports.prepare()
    assert hub.get(job).json()["status"] == "COMPLETED"
    refused = hub.http.delete(job)
    assert (refused.status_code, refused.json()["code"]) == (409, "job_finished")


def test_a_job_is_cancelled_for_its_client_only(third_parties: Any) -> None:
    hub, bora = third_parties, third_parties.login("Bora")
    hub.share()
    hub.share(name="Bora")
    hub.publish(hub.mark("a"))
    mine, theirs = ask(hub).headers["location"], ask(hub, by=bora).headers["location"]
    assert hub.http.delete(theirs).status_code == 404
    assert hub.http.delete(mine).status_code == 202
    assert hub.get(theirs, **bora).json()["status"] == "RECEIVED"
    hub.exports.prepare()
    assert hub.get(theirs, **bora).json()["status"] == "COMPLETED"
    assert hub.get(mine).json()["status"] == "CANCELLED"  # whatever others wanted
    hub.share(Disclosure.STATUS_CHANGE)
    assert hub.http.delete(mine).status_code == hub.get(mine).status_code == 404


def test_a_token_for_reading_only_cancels_nothing(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    client, secret = hub.ledger.clients.add(
        name="Narrowed", third_party="Acme", at=hub.service.clock(), by="test"
    )

    def bearer(scope: str) -> dict[str, str]:
        form = {"grant_type": "client_credentials", "scope": scope}
        asked = hub.http.post("/oauth2/token", data=form, auth=(client.clientId, str(secret)))
        return {"Authorization": f"Bearer {asked.json()['access_token']}"}

    whole, reading = "exports:create data:read:trademarks", bearer("data:read:trademarks")
    job = ask(hub, by=bearer(whole)).headers["location"]
    refused = hub.http.delete(job, headers=reading)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert hub.get(job, **reading).json()["status"] == "RECEIVED"


def test_a_disk_that_takes_nothing_is_no_defect_of_the_hub(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    job = ask(hub, "k").headers["location"]
    stored, hub.exports.store.root = hub.exports.store.root, hub.serving.path
    for refused in (ask(hub, "other"), hub.http.delete(job)):
        assert (refused.status_code, refused.json()["code"]) == (503, "store")
        assert refused.headers["retry-after"] == "5"
    hub.exports.store.root = stored
    assert ask(hub, "other").status_code == 202


def test_a_file_nobody_wants_any_more_is_left_half_made(
    third_parties: Any, monkeypatch: Any
) -> None:
    hub = third_parties
    hub.share()
    hub.publish(*[hub.mark(f"r{number:04d}") for number in range(1200)])
    job, seen = ask(hub).headers["location"], list[tuple[str, int]]()
    monkeypatch.setattr(builder, "NOTED", 1)
    go_on = ExportStore.go_on

    def look(self: ExportStore, task: Task, progress: int) -> bool:
        went_on = go_on(self, task, progress)
        told = hub.get(job).json()
        seen.append((told["status"], told["progress"]))
        if len(seen) == 2:
            assert hub.http.delete(job).status_code == 202
        return went_on

    monkeypatch.setattr(ExportStore, "go_on", look)
    hub.exports.prepare()
    assert seen == [("IN_PROGRESS", 0), ("IN_PROGRESS", 41), ("CANCELLED", 0)]
    store = hub.exports.store
    assert not [*store.files.iterdir(), *(store.root / "work").iterdir()]
    assert hub.get(job).json()["status"] == "CANCELLED"
    assert ask(hub).json()["status"] == "RECEIVED"


def test_a_table_that_a_builder_missed_as_it_ended_is_prepared_all_the_same(
    third_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, started = third_parties, []

    def start() -> None:
        started.append(True)
        if len(started) > 1:  # the first is just about to end
            hub.exports.prepare()

    hub.share()
    hub.publish(hub.mark("a"))
    monkeypatch.setattr(hub.exports, "start", start)
    table = "/delta-sharing/shares/KH/schemas/register/tables/trademarks/query"
    assert hub.http.post(table, json={}).status_code == 200
    assert len(started) == 2


def test_a_filter_on_a_withheld_field_is_refused(third_parties: Any) -> None:
    third_parties.share(Disclosure.STATUS_CHANGE)
    refused = ask(third_parties, filters={"status": "nonsense"})
    assert refused.json()["code"] == "field_not_available"


def test_a_search_is_refused_without_free_text(third_parties: Any) -> None:
    hub, silent = third_parties, Grant(frozenset(Disclosure), freeText=False)
    hub.ledger.authorizations.decide(
        "KH", "Acme", Decision({Right.TRADEMARKS: silent}), hub.service.clock(), "test"
    )
    assert ask(hub, filters={"q": "anything"}).json()["code"] == "field_not_available"
    assert ask(hub, filters={"status": "filed"}).status_code == 202


def test_a_job_without_a_file_says_why(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    job = ask(hub).headers["location"]
    store: ExportStore = hub.exports.store
    task = store.next()
    assert task is not None
    store.give_up(task, "crash")
    told = hub.get(job).json()
    assert (told["status"], told["errors"][0]["code"]) == ("FAILED", "export_failed")
    assert "errors" not in ask(hub).json()
    hub.exports.prepare()
    done = hub.get(job).json()
    assert (done["status"], "errors" in done) == ("COMPLETED", False)
    store.take_back("KH", Right.TRADEMARKS)
    gone = hub.get(job).json()
    assert (gone["status"], gone["errors"][0]["code"]) == ("FAILED", "snapshot_expired")
    assert "Ask for a new export" in gone["errors"][0]["message"]
    refused = hub.get(f"/v1/snapshots/{done['downloads'][0]['snapshotId']}")
    assert (refused.status_code, refused.json()["code"]) == (410, "snapshot_expired")
    assert hub.get(ask(hub).headers["location"]).json()["status"] == "RECEIVED"
