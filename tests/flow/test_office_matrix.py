"""Every office route against every kind of caller; a route without a row fails.

The rows name the act a route is about. Expected is what ``ipregister.roles`` says, and for
whoever has no business at the office the bytes of an office that does not exist.
"""

import secrets
from typing import Any

import httpx
import pytest

from ipregister.roles import HUB_ROLES, MAY, Act, Role

SENT = "/v1/offices/{office}/deliveries/{deliveryId}"
ROWS: dict[str, Act] = {
    "GET /v1/offices/{office}/deliveries": Act.READ_DELIVERIES,
    f"GET {SENT}": Act.READ_DELIVERIES,
    f"GET {SENT}/findings": Act.READ_REPORTS,
    f"POST {SENT}/release": Act.DECIDE_DELIVERIES,
    f"POST {SENT}/withdraw": Act.DECIDE_DELIVERIES,
    "POST /v1/offices/{office}/{right}/packages": Act.PUSH,
    "GET /v1/offices/{office}/quality-reports": Act.READ_REPORTS,
    "GET /v1/offices/{office}/coverage": Act.READ_COUNTS,
}
ELSEWHERE = ("/access-receipts", "/authorizations", "/records")
"""Parts of an office's paths whose own tests have the rows."""


@pytest.fixture(scope="module")
def world(shared_callers: Any) -> Any:
    """A hub with one delivery of Cambodia that waits."""
    shared_callers.sent = shared_callers.desk.hand_in("<waits/>")
    return shared_callers


def ask(world: Any, row: str, role: Role, office: str = "KH", at: str = "KH") -> httpx.Response:
    method, path = row.split()
    path = path.format(office=at, right="trademarks", deliveryId=world.sent.deliveryId)
    body: dict[str, Any] = {}
    if "packages" in path:
        body = {"content": secrets.token_bytes(8), "params": {"kind": "test", "name": "a.xml"}}
    elif method == "POST":
        body = {"json": {"reason": "as agreed"}}
    answer: httpx.Response = world.call(method, path, role, office, **body)
    return answer


def test_every_office_route_has_a_row(world: Any) -> None:
    described = world.http.get("/openapi.json").json()["paths"]
    served = {
        f"{method.upper()} {path}"
        for path, methods in described.items()
        for method in methods
        if path.startswith("/v1/offices/{office}") and not any(part in path for part in ELSEWHERE)
    }
    assert served == ROWS.keys()


@pytest.mark.parametrize("row", ROWS)
def test_each_role_does_what_it_may_and_nothing_else(world: Any, row: str) -> None:
    for role in Role:
        status = ask(world, row, role).status_code
        if role is Role.THIRD_PARTY:
            assert status == 404, role
        elif ROWS[row] in MAY[role]:
            assert status in (200, 202, 409), role  # 409: it waits and is not held
        else:
            assert status == 403, role


@pytest.mark.parametrize("row", ROWS)
def test_another_office_reads_as_none_at_all(world: Any, row: str) -> None:
    for role in set(Role) - HUB_ROLES:
        other = ask(world, row, role, office="LA")
        nowhere = ask(world, row, role, office="LA", at="XX")
        assert (other.status_code, other.content) == (404, nowhere.content), role


@pytest.mark.parametrize("row", ROWS)
def test_without_a_good_token_there_is_only_401(world: Any, row: str) -> None:
    method, path = row.split()
    at = path.format(office="KH", right="trademarks", deliveryId=world.sent.deliveryId)
    ledger, now = world.desk.hub.ledger, world.desk.now
    revoked, _ = ledger.clients.add(name="a", office="KH", at=now, by="test")
    token = world.token(revoked.clientId)
    ledger.clients.revoke(revoked.clientId, at=now, by="test")
    for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer x"}):
        assert world.http.request(method, at, headers=headers).status_code == 401
