"""What leaves a trace and what must not: decisions in the audit chain, values of records nowhere.

Every request that changes something is in the chain with its actor; reading is not, and has
receipts instead. What stands in a record stands in the stores of records and in no log, count,
ledger or receipt.
"""

from typing import Any

import pytest

from ipregister.model import Right
from ipregister.roles import Role

KH = "/v1/offices/{office}"
SENT = f"{KH}/deliveries/{{deliveryId}}"
ANNOUNCED = f"{KH}/purge-approvals/{{approvalId}}"
HOOK = "/v1/me/webhooks/{webhookId}"
CHANGES = {
    f"PUT {KH}/authorizations/{{thirdParty}}": ("authorizer", "authorization:set"),
    f"POST {KH}/authorizations/{{thirdParty}}/revoke": ("authorizer", "authorization:revoked"),
    "POST /v1/files/upload-urls": ("manager", "upload:announced"),
    "PUT /v1/files/{fileId}/content": ("manager", "upload:validated"),
    f"POST {KH}/{{right}}/packages": ("manager", "delivery:received"),
    f"POST {SENT}/withdraw": ("manager", "delivery:withdrawn"),
    f"POST {SENT}/release": ("manager", "delivery:checking"),
    f"POST {SENT}/revert": ("manager", "delivery:reverted"),
    f"POST {KH}/purge-approvals": ("manager", "purge:approved"),
    f"POST {ANNOUNCED}/withdraw": ("manager", "purge:withdrawn"),
    "POST /v1/me/webhooks": ("granted", "webhook:added"),
    f"POST {HOOK}/secret": ("granted", "webhook:secret_rotated"),
    f"DELETE {HOOK}": ("granted", "webhook:ended"),
}
"""Who changes something by which route, and what the chain calls it."""

MADE = (
    *("delivery:received", "upload:announced", "upload:validated", "purge:approved"),
    *("webhook:added", "webhook:secret_rotated", "webhook:ended"),
)
"""What there was nothing of before, or nothing is told of but that it is over."""

CHANGES_NOTHING = {
    f"POST {KH}/authorizations/{{thirdParty}}/preview",
    f"POST {HOOK}/test",
    "POST /v1/exports",
    "POST /delta-sharing/shares/{share}/schemas/{schema}/tables/{table}/query",
    # Tokens are in a table of their own.
    "DELETE /v1/jobs/{jobId}",
    "POST /oauth2/token",
    "POST /oauth2/revoke",
    "POST /oauth2/introspect",
}


def test_every_route_changes_something_and_says_so_or_changes_nothing(attacked: Any) -> None:
    writing = {route for route in attacked.described() if not route.startswith("GET ")}
    assert writing == CHANGES.keys() | CHANGES_NOTHING


@pytest.mark.parametrize("route", CHANGES)
def test_a_change_is_in_the_chain_with_its_actor_once(attacked: Any, route: str) -> None:
    who, action = CHANGES[route]
    method, template = route.split()
    path, body = attacked.path(template), attacked.body(method, template)
    if action == "authorization:set":  # what is decided already is no change
        body["json"] = {"rights": [{"right": "designs"}], "reason": "also agreed"}
    if template.endswith("/upload-urls"):  # nor is what was announced
        body["json"]["sha256"] = "0" * 64
    before = attacked.ledger.audit.head().seq
    answer = attacked.ask(method, path, who, **body)
    assert answer.status_code < 300, answer.text
    (entry,) = attacked.ledger.audit.entries(after=before)
    assert (entry.action, entry.actor) == (action, attacked.clients[who])
    if action not in MADE:
        assert None not in (entry.before, entry.after)


def test_what_only_reads_or_is_refused_is_not_in_the_chain(attacked: Any) -> None:
    for route in attacked.described():
        method, template = route.split()
        path, body = attacked.path(template), attacked.body(method, template)
        before = attacked.ledger.audit.head().seq
        for who in ("granted", "manager", "operator", "coordinator", "stranger"):
            if route not in CHANGES or who == "coordinator":
                attacked.ask(method, path, who, **body)
        assert attacked.ledger.audit.entries(after=before) == [], route


@pytest.mark.parametrize("member", ["officeCode", "role", "owner", "clientId", "state", "version"])
def test_no_route_takes_a_member_it_does_not_name(attacked: Any, member: str) -> None:
    tried = 0
    for route, described in attacked.described().items():
        method, template = route.split()
        body = attacked.body(method, template)
        takes = "application/json" in described.get("requestBody", {}).get("content", {})
        if not takes or "json" not in body or template.endswith("/query"):
            continue  # programs of Delta Sharing may send members this hub does not read
        body["json"] = body["json"] | {member: "LA"}
        path = attacked.path(template)
        before = attacked.ledger.audit.head().seq
        for who in ("granted", "manager", "authorizer"):
            answer = attacked.ask(method, path, who, **body)
            assert answer.status_code in (400, 403, 404), (route, answer.text)
            tried += answer.status_code == 400
        assert attacked.ledger.audit.head().seq == before, route
    assert tried >= 8, "somebody may at each route"


APART = ("landing", "register", "serving.sqlite", "findings", "staging", "exports")
"""Where records are kept, and what was found wrong with them."""


def test_no_value_of_a_record_is_outside_the_stores_of_records(
    callers: Any, ipas: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    desk = callers.desk
    values = {"applicant": "Canarina Veldt", "word": "CANARITIVA", "status": "Canarised"}
    desk.deliver(ipas.marks(ipas.mark(**values), ipas.mark("KH/90002/2019", "X & Canarina")))
    callers.client(Role.THIRD_PARTY)
    rights: dict[Right, Any] = {Right.TRADEMARKS: frozenset()}
    desk.hub.ledger.authorizations.set("KH", "Ann", rights, None, desk.now, "test")
    records = "/v1/offices/KH/trademarks/records"
    read = callers.get(records, Role.THIRD_PARTY).text
    assert "Canarina" in read
    assert "CANARITIVA" in callers.get(f"{records}?q=canaritiva", Role.THIRD_PARTY).text
    callers.get("/v1/changes", Role.THIRD_PARTY)
    callers.get(f"{records}?status=Canarised", Role.THIRD_PARTY)
    counted = callers.get("/metrics", Role.OPERATOR).text
    logged = "".join(capfd.readouterr())
    assert "delivery_finished" in logged
    kept = {"log": logged.encode(), "metrics": counted.encode()} | {
        str(path): path.read_bytes()
        for path in desk.hub.home.root.rglob("*")
        if path.is_file() and not str(path.relative_to(desk.hub.home.root)).startswith(APART)
    }
    assert any("ledger" in name for name in kept)
    assert any("receipts" in name for name in kept)
    assert [name for name, data in kept.items() if b"canari" in data.lower()] == []
