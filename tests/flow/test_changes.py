"""The feed of changes: what it tells, when it ends, and what leaves no trace in it."""

import sqlite3
from pathlib import Path
from typing import Any

from ipregister.model import Disclosure


def follow(hub: Any, cursor: str | None, query: str = "limit=2") -> tuple[list[Any], str]:
    items: list[Any] = []
    while True:
        place = f"&cursor={cursor}" if cursor else ""
        answer = hub.get(f"/v1/changes?{query}{place}")
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = str(answer.json()["nextCursor"])
        if not answer.json()["hasMore"]:
            return items, cursor


def test_the_feed_tells_changes_and_authorizations(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a", status="filed"), hub.mark("b"), hub.mark("c"))
    items, cursor = follow(hub, None)
    assert [(i["changeType"], i["cause"], i["recordId"]) for i in items] == [
        ("upsert", "source", name) for name in "abc"
    ]
    assert items[0] == {
        "changeType": "upsert",
        "cause": "source",
        "officeCode": "KH",
        "right": "trademarks",
        "recordId": "a",
        "record": hub.get("/v1/offices/KH/trademarks/records/a").json(),
    }
    assert follow(hub, cursor) == ([], cursor)
    hub.publish(gone=("b",))
    hub.share(Disclosure.STATUS_CHANGE)
    items, cursor = follow(hub, cursor)
    held = {"a", "b", "c"}
    for item in items:
        assert "status" not in item.get("record", {})
        held = (
            held | {item["recordId"]}
            if item["changeType"] == "upsert"
            else held - {item["recordId"]}
        )
    assert held == {"a", "c"}
    hub.ledger.authorizations.revoke("KH", "Acme", hub.service.clock(), "test")
    items, cursor = follow(hub, cursor)
    assert {i["changeType"] for i in items} == {"retract"}
    assert {i["recordId"] for i in items} >= {"a", "c"}
    assert follow(hub, cursor) == ([], cursor)
    assert hub.get(f"/v1/changes?cursor={cursor}").json()["items"] == []


def test_a_feed_of_one_office_ends_when_its_authorization_does(third_parties: Any) -> None:
    hub = third_parties
    hub.share()
    hub.publish(hub.mark("a"))
    _, cursor = follow(hub, None, "office=KH")
    hub.ledger.authorizations.revoke("KH", "Acme", hub.service.clock(), "test")
    items, cursor = follow(hub, cursor, "office=KH")
    assert [item["changeType"] for item in items] == ["retract"]
    assert hub.get(f"/v1/changes?office=KH&cursor={cursor}").status_code == 404


def test_a_hidden_change_leaves_the_cursor_alone(third_parties: Any) -> None:
    hub = third_parties
    hub.share(Disclosure.STAKEHOLDER)
    hub.publish(hub.mark("a", applicants=[{"identifier": "Dara"}]))
    _, cursor = follow(hub, None)
    hub.publish(hub.mark("a", applicants=[{"identifier": "Sophea"}]))
    assert follow(hub, cursor) == ([], cursor)
    assert follow(hub, None)[1] == cursor


def test_a_rebuilt_store_asks_to_start_again(third_parties: Any, tmp_path: Path) -> None:
    hub = third_parties
    hub.share()
    for _ in range(3):
        hub.publish(hub.mark("a", applicationNumber=str(next(hub.numbers))))
    _, cursor = follow(hub, None)
    for table in ("publication", "record", "fragment", "change", "space"):
        with sqlite3.connect(tmp_path / "serving.sqlite") as store:
            store.execute(f"DELETE FROM {table}")
        store.close()
    answer = hub.get(f"/v1/changes?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (410, "resync_required")
