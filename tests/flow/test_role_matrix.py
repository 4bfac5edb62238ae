"""Every described route against every kind of caller; a route without a row fails.

The table says what comes of a route of each kind: `+` it does what it is for, otherwise the
status. Whoever has no business somewhere gets the bytes of something that does not exist.
"""

from hashlib import sha256
from itertools import product
from typing import Any

import pytest

OUTCOMES = """
kind             granted stranger viewer manager authorizer elsewhere coordinator operator
open             +       +        +      +       +          +         +           +
client's own     401     401      401    401     401        401       401         401
any token        +       +        +      +       +          +         +           +
shared           +       404      404    404     404        404       404         404
told elsewhere   400     404      404    404     404        404       404         404
third parties'   +       +        403    403     403        403       403         403
Ann's            +       404      403    403     403        403       403         403
office reads     404     404      +      +       +          404       403         403
office pushes    404     404      403    +       403        404       403         403
office decides   404     404      403    403     +          404       403         403
counts           404     404      +      +       +          404       +           +
announces        404     404      403    +       403        +         404         404
own file         404     404      403    +       403        404       404         404
own job          404     404      +      +       +          404       404         404
own job's end    404     404      409    409     409        404       404         404
operation        403     403      403    403     403        403       403         +
"""
"""``other party`` is answered as ``stranger``, ``decides elsewhere`` as ``elsewhere``."""

KH = "/v1/offices/{office}"
SENT = f"{KH}/deliveries/{{deliveryId}}"
HOOK = "/v1/me/webhooks/{webhookId}"
SHARE = "/delta-sharing/shares/{share}"
TABLE = f"{SHARE}/schemas/{{schema}}/tables/{{table}}"
HISTORY = f"{KH}/{{right}}/history"
DECIDED = f"{KH}/authorizations/{{thirdParty}}"
KINDS: dict[str, tuple[str, ...]] = {
    "open": (
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/oauth-protected-resource",
        "GET /oauth2/jwks",
        "GET /healthz",
        "GET /readyz",
        "GET /docs",
        # The address itself is sealed for ten minutes and dies with the token it was made for.
        "GET /delta-sharing/files/{fileToken}",
    ),
    "client's own": ("POST /oauth2/token", "POST /oauth2/revoke", "POST /oauth2/introspect"),
    "any token": (
        "GET /v1/me",
        "GET /v1/me/delta-sharing-profile",
        "GET /v1/offices",
        "GET /v1/changes",
        "GET /delta-sharing/shares",
    ),
    "shared": (
        f"GET {KH}/{{right}}/records",
        f"GET {KH}/{{right}}/records/{{recordId}}",
        "POST /v1/exports",
        "GET /v1/snapshots/{snapshotId}",
        f"GET {SHARE}",
        f"GET {SHARE}/schemas",
        f"GET {SHARE}/schemas/{{schema}}/tables",
        f"GET {SHARE}/all-tables",
        f"GET {TABLE}/version",
        f"GET {TABLE}/metadata",
        f"POST {TABLE}/query",
        "GET /v1/me/authorizations/{office}/certificate",
    ),
    "told elsewhere": (f"GET {TABLE}/changes",),
    "third parties'": ("GET /v1/me/webhooks", "POST /v1/me/webhooks"),
    "Ann's": (f"GET {HOOK}", f"POST {HOOK}/secret", f"POST {HOOK}/test", f"DELETE {HOOK}"),
    "office reads": (
        f"GET {KH}/authorizations",
        f"GET {DECIDED}",
        f"GET {DECIDED}/certificate",
        f"GET {KH}/deliveries",
        f"GET {SENT}",
        f"GET {SENT}/findings",
        f"GET {SENT}/missing",
        f"GET {KH}/purge-approvals",
        f"GET {KH}/access-receipts/{{requestId}}",
        *(f"GET {HISTORY}/{part}" for part in ("record", "changes", "as-of", "why", "lineage")),
    ),
    "office pushes": (
        f"POST {KH}/{{right}}/packages",
        f"POST {SENT}/withdraw",
        f"POST {SENT}/release",
        f"POST {SENT}/revert",
        f"POST {KH}/purge-approvals",
        f"POST {KH}/purge-approvals/{{approvalId}}/withdraw",
    ),
    "office decides": (f"PUT {DECIDED}", f"POST {DECIDED}/preview", f"POST {DECIDED}/revoke"),
    "counts": (
        f"GET {KH}/coverage",
        f"GET {KH}/quality-reports",
        f"GET {KH}/access-receipts",
        f"GET {KH}/access-receipts/usage",
    ),
    "announces": ("POST /v1/files/upload-urls",),
    "own file": (
        "GET /v1/files/{fileId}",
        "GET /v1/files/{fileId}/content",
        "PUT /v1/files/{fileId}/content",
    ),
    "own job": ("GET /v1/jobs/{jobId}",),
    # That of a package: no export is unfinished here (``test_export_jobs``).
    "own job's end": ("DELETE /v1/jobs/{jobId}",),
    "operation": ("GET /metrics",),
}
ROWS = {route: kind for kind, routes in KINDS.items() for route in routes}
SAME_ID = {"X-Request-Id": "the-same-one"}
SAID_ALIKE = {"type", "title", "status", "detail", "code", "requestId"}
OPEN = ("open", "client's own")


def outcomes() -> dict[str, dict[str, str]]:
    """Return the table: kind of route, caller, outcome."""
    head, *lines = OUTCOMES.strip().splitlines()
    width = head.index("granted")
    names = head[width:].split()
    table = {
        line[:width].strip(): dict(zip(names, line[width:].split(), strict=True)) for line in lines
    }
    for row in table.values():
        row |= {"other party": row["stranger"], "decides elsewhere": row["elsewhere"]}
    # Who may not push sees no other office's file either; told before the file is looked for.
    for kind in ("announces", "own file"):
        table[kind]["decides elsewhere"] = table[kind]["authorizer"]
    return table


TABLES = outcomes()


def test_every_route_has_a_row_and_every_row_a_route(attacked: Any) -> None:
    assert set(attacked.described()) == set(ROWS)
    assert set(KINDS) == set(TABLES)


def told(answer: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return everything an answer says."""
    return answer.status_code, answer.content, dict(answer.headers)


def check(answer: Any, route: str) -> None:
    """Check what holds of every answer, whatever it is about."""
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-request-id"] == "the-same-one"
    status = answer.status_code
    assert status < 500, (route, answer.text)
    if status < 400 or route.split()[1].startswith("/oauth2/"):
        if ROWS[route] != "open" and status != 204:
            assert "cache-control" in headers, route
        return
    assert headers["content-type"] == "application/problem+json", route
    assert answer.json().keys() >= SAID_ALIKE
    assert (answer.json()["status"], answer.json()["requestId"]) == (status, "the-same-one")
    assert headers["cache-control"] == "no-store"


def sent(attacked: Any, route: str, who: str | None, **changed: Any) -> Any:
    """Send what a route takes and check what holds of every answer."""
    method, template = route.split()
    path, body = attacked.path(template, **changed), attacked.body(method, template)
    headers = body.pop("headers", {}) | SAME_ID
    answer = attacked.ask(method, path, who, headers=headers, **body)
    check(answer, route)
    return answer


@pytest.mark.parametrize("route", ROWS)
def test_each_caller_does_what_the_table_says(attacked: Any, route: str) -> None:
    expected = TABLES[ROWS[route]]
    documented = attacked.described()[route]["responses"]
    # Refusals first: what passes may end what it is about.
    for who, outcome in sorted(expected.items(), key=lambda cell: cell[1] == "+"):
        if ROWS[route] == "client's own":  # a token is no way to authenticate there
            who = None
        status = sent(attacked, route, who).status_code
        assert (status < 300) if outcome == "+" else (status == int(outcome)), (who, status)
        assert str(status) in documented, (who, status)


@pytest.mark.parametrize("route", [route for route, kind in ROWS.items() if kind not in OPEN])
def test_without_a_good_token_there_is_only_401(attacked: Any, route: str) -> None:
    bad = [None, *(name for name in attacked.tokens if name not in attacked.clients)]
    assert len(bad) == 6
    if ROWS[route] == "operation":
        bad.remove(None)  # who asks from the machine itself; behind a proxy a token is needed
    method, template = route.split()
    path, body = attacked.path(template), attacked.body(method, template)
    headers = body.pop("headers", {}) | SAME_ID
    answers = [attacked.ask(method, path, who, headers=headers, **body) for who in bad]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        check(answer, route)
    # Why a token is no good is nobody's business.
    assert len({told(answer)[1] for answer in answers}) == 1
    assert len({answer.headers["www-authenticate"] for answer in answers[-5:]}) == 1


@pytest.mark.parametrize("route", [route for route in ROWS if "{" in route])
def test_what_is_not_yours_is_what_does_not_exist(attacked: Any, route: str) -> None:
    parts = [part.split("}")[0] for part in route.split("{")[1:]]
    hidden = [who for who, outcome in TABLES[ROWS[route]].items() if outcome in ("403", "404")]
    for who in hidden:
        there = sent(attacked, route, who)
        for part in parts:
            # Somebody of the exchange as a whole may know which offices there are.
            if part == "office" and there.status_code == 403:
                continue
            assert told(sent(attacked, route, who, missing=part)) == told(there), (who, part)


@pytest.mark.parametrize("route", [route for route in ROWS if "{" in route])
def test_what_does_not_exist_says_the_same_to_all(attacked: Any, route: str) -> None:
    parts = [part.split("}")[0] for part in route.split("{")[1:]]
    nothing = attacked.http.get("/nothing/here", headers=SAME_ID)
    may = [who for who, outcome in TABLES[ROWS[route]].items() if outcome == "+"]
    for who, part in product(may[:1], parts):
        if part == "thirdParty" and "GET" not in route:
            continue  # an office may decide about who is there and has nothing yet
        answer = sent(attacked, route, who, missing=part)
        assert (answer.status_code, answer.content) == (404, nothing.content), part


CREDENTIALS = (
    "POST /v1/me/webhooks",
    f"POST {HOOK}/secret",
    "POST /v1/files/upload-urls",
    "GET /v1/me/delta-sharing-profile",
    f"POST {TABLE}/query",
)


@pytest.mark.parametrize("route", CREDENTIALS)
def test_nobody_keeps_an_answer_with_a_credential(attacked: Any, route: str) -> None:
    who = "manager" if "files" in route else "granted"
    answer = sent(attacked, route, who)
    assert answer.status_code < 300
    assert "no-store" in answer.headers["cache-control"]


def test_nobody_keeps_a_token(attacked: Any) -> None:
    client, secret = attacked.ledger.clients.add(
        name="t", third_party="Ann", at=attacked.callers.desk.now, by="test"
    )
    form = {"client_id": client.clientId, "client_secret": secret}
    told = attacked.http.post("/oauth2/token", data=form | {"grant_type": "client_credentials"})
    token = told.json()["access_token"]
    judged = attacked.http.post("/oauth2/introspect", data=form | {"token": token})
    ended = attacked.http.post("/oauth2/revoke", data=form | {"token": token})
    refused = attacked.http.post("/oauth2/token", data=form)
    for answer in (told, judged, ended, refused):
        assert answer.headers["cache-control"] == "no-store"
    # A Delta Sharing file's address dies with the token it was made for.
    address = attacked.path("/delta-sharing/files/{fileToken}")
    now = attacked.callers.desk.now
    assert attacked.http.get(address).status_code == 200
    hashed = sha256(attacked.tokens["granted"].encode()).digest()
    attacked.ledger.tokens.revoke(hashed, now)
    assert attacked.http.get(address).status_code == 404
    attacked.tokens["granted"] = attacked.token(attacked.clients["granted"])
