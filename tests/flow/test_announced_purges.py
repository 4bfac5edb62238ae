"""Announced purges by API: made, used, taken back; the guards' side is in ``test_guards``."""

from datetime import timedelta
from typing import Any

import pytest

from ipregister.deliveries import Kind, State
from ipregister.roles import Role

PURGES = "/v1/offices/KH/purge-approvals"


def test_an_announced_purge_is_not_held(callers: Any, ipas: Any) -> None:
    desk, announced = callers.desk, {"right": "trademarks", "upTo": 59, "reason": "expired marks"}
    many = [ipas.mark(f"KH/{number}/2019") for number in range(90000, 90060)]
    desk.deliver(ipas.marks(*many), kind=Kind.FULL_EXTRACTION)
    for role in set(Role) - {Role.OFFICE_DATA_MANAGER}:
        refused = callers.post(PURGES, role, json=announced)
        assert refused.status_code == (404 if role is Role.THIRD_PARTY else 403)
    made = callers.post(PURGES, json=announced)
    manager = callers.client(Role.OFFICE_DATA_MANAGER)
    assert made.status_code == 201
    assert (made.json()["approvedBy"], made.json()["usedBy"]) == (manager, None)
    purging = desk.deliver(ipas.marks(many[0]), kind=Kind.FULL_EXTRACTION)
    assert len(desk.served()) == 1
    callers.post(PURGES, json=announced | {"right": "patents", "until": "2026-12-31"})
    newest, used = callers.get(PURGES, Role.OFFICE_VIEWER).json()["items"]
    assert (newest["right"], newest["until"], newest["usedBy"]) == ("patents", "2026-12-31", None)
    assert (used["approvalId"], used["usedBy"]) == (made.json()["approvalId"], purging.deliveryId)
    first = callers.get(f"{PURGES}?limit=1")
    assert first.json()["items"] == [newest]
    following = first.headers["link"].partition(">")[0].removeprefix("<")
    assert callers.get(following).json() == {"items": [used]}
    assert callers.get(f"{PURGES}?right=trademarks").json() == {"items": [used]}


def test_an_announced_purge_can_be_taken_back(callers: Any, ipas: Any) -> None:
    desk, announced = callers.desk, {"right": "trademarks", "upTo": 59, "reason": "expired marks"}
    many = [ipas.mark(f"KH/{number}/2019") for number in range(90000, 90060)]
    desk.deliver(ipas.marks(*many), kind=Kind.FULL_EXTRACTION)
    made = callers.post(PURGES, json=announced).json()
    path, why = f"{PURGES}/{made['approvalId']}/withdraw", {"reason": "not this year"}
    for absent in ("99", "0", "x", "1" * 30):
        assert callers.post(f"{PURGES}/{absent}/withdraw", json=why).status_code == 404
    assert callers.post(path, Role.OFFICE_VIEWER, json=why).status_code == 403
    gone = callers.post(path, json=why).json()
    manager = callers.client(Role.OFFICE_DATA_MANAGER)
    assert gone == made | {"withdrawnAt": gone["withdrawnAt"], "withdrawnBy": manager}
    assert callers.get(PURGES).json() == {"items": [gone]}
    again = callers.post(path, json=why)
    assert (again.status_code, again.json()["code"]) == (409, "ledger_conflict")
    assert "was taken back by" in again.json()["detail"]
    held = desk.deliver(ipas.marks(many[0]), kind=Kind.FULL_EXTRACTION)
    assert held.state is State.HELD


@pytest.mark.parametrize(
    "changed",
    [
        {"upTo": 0}, {"upTo": 10**12}, {"upTo": "5"}, {"upTo": True}, {"right": "plants"},
        {"reason": " "}, {"until": "2020-01-01"}, {"until": "2026-W50-1"}, {"until": 7},
        {"office": "LA"},
    ],
)  # fmt: skip
def test_a_purge_is_announced_with_everything_it_needs(callers: Any, changed: Any) -> None:
    body = {"right": "trademarks", "upTo": 59, "reason": "expired marks"} | changed
    answer = callers.post(PURGES, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    assert callers.desk.hub.ledger.purges.list() == []


def test_a_refused_announcement_is_told_what_is_wrong_with_it(callers: Any) -> None:
    def told(body: Any) -> str:
        return str(callers.post(PURGES, json=body).json()["detail"])

    members = "Send one JSON object: it has right, upTo, reason; it may have until."
    good = {"right": "trademarks", "upTo": 59, "reason": "expired marks"}
    assert told(good | {"upTo": "many"}) == f"upTo: not a value of this member. {members}"
    assert told({"right": "trademarks"}) == members
    # What was sent is not repeated, however much it looks like words of the decoder.
    assert told(good | {"a - at `$.evil": 1}) == members


def test_a_purge_announced_twice_with_one_key_is_one(callers: Any) -> None:
    body = {"right": "trademarks", "upTo": 59, "reason": "expired marks"}
    key = {"Idempotency-Key": "k"}
    first = callers.post(PURGES, json=body, headers=key)
    callers.desk.now += timedelta(hours=23)
    assert callers.post(PURGES, json=body, headers=key).content == first.content
    other = callers.post(PURGES, json=body | {"upTo": 60}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(callers.desk.hub.ledger.purges.list()) == 1
    callers.post(PURGES, json=body)
    assert len(callers.desk.hub.ledger.purges.list()) == 2
