"""What an office shares with one network only, and its reader who comes from another."""

import datetime as dt
from typing import Any

import httpx
from fastapi.testclient import TestClient

from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Right

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


def test_who_comes_from_another_network_is_told_to_drop_nothing(third_parties: Any) -> None:
    hub, elsewhere = third_parties, third_parties.http
    inside = TestClient(elsewhere.app, client=("192.0.2.9", 1), headers=elsewhere.headers)

    def decide(*rights: Right) -> None:
        grants = dict.fromkeys(rights, Grant(frozenset(Disclosure)))
        decision = Decision(grants, allowedAddresses=("192.0.2.0/24",))
        hub.ledger.authorizations.decide("KH", "Acme", decision, NOW, "test")

    def heard(http: httpx.Client, cursor: str) -> tuple[list[str], str]:
        query = f"?cursor={cursor}" if cursor else ""
        page = http.get(f"/v1/changes{query}").json()
        told = [f"{item['changeType']} {item['recordId']}" for item in page["items"]]
        return told, page["nextCursor"]

    decide(Right.TRADEMARKS)
    hub.publish(hub.mark("a"), hub.mark("b"))
    told, cursor = heard(inside, "")
    assert told == ["upsert a", "upsert b"]
    assert heard(elsewhere, cursor) == ([], cursor)
    hub.publish(gone=("a",))
    assert heard(elsewhere, cursor) == ([], cursor)
    told, cursor = heard(inside, cursor)
    assert told == ["delete a"]
    # Elsewhere nothing is to be had, and who has nothing is a stranger there.
    assert heard(elsewhere, "")[0] == []
    assert elsewhere.get("/v1/changes?office=KH").status_code == 404
    # What is really taken back is told wherever the reader is.
    decide(Right.DESIGNS)
    assert heard(elsewhere, cursor)[0] == ["retract a", "retract b"]
