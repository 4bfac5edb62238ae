"""Requests no honest client sends, at every route: refused in one sentence, never a crash.

What a hostile head, path, method or body gets is a problem document (or OAuth's own form)
with a status below 500, and nothing in it that the caller wrote.
"""

import gzip
import json
import re
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

WRITERS = {
    "/v1/me/webhooks": "granted",
    "/v1/exports": "granted",
    "/delta-sharing": "granted",
    "/v1/files": "manager",
    "/release": "manager",
    "/withdraw": "manager",
    "/revert": "manager",
    "/purge-approvals": "manager",
    "/packages": "manager",
    "/authorizations": "authorizer",
}
"""Who may send to a route whose path has this in it."""

DEEP = 10_000
JUNK: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"<a/>",
    "not UTF-8": b'{"reason":"\xff\xfe"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep inside": b'{"reason":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "infinite number": b'{"reason":1e400}',
    "no number": b'{"reason":NaN}',
    "endless number": b'{"reason":' + b"9" * 10_000 + b"}",
    "lone surrogate": b'{"reason":"\\ud800"}',
    "repeated member": b'{"reason":"a","reason":"b"}',
    "a list": b"[1]",
    "a word": b'"reason"',
    "null": b"null",
    "two documents": b"{}{}",
    "too long": b'{"reason":"' + b"a" * 70_000 + b'"}',
}


def takes_json(attacked: Any) -> list[str]:
    """Return the routes that take JSON."""
    return [
        route
        for route, operation in attacked.described().items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]


def is_refusal(answer: Any) -> bool:
    """Tell whether an answer is a problem document of the client's making."""
    kind = answer.headers["content-type"]
    return 400 <= answer.status_code < 500 and kind == "application/problem+json"


@pytest.mark.parametrize("junk", JUNK)
def test_no_route_is_hurt_by_a_body(attacked: Any, junk: str) -> None:
    for route in takes_json(attacked):
        method, template = route.split()
        who = next(name for part, name in reversed(WRITERS.items()) if part in template)
        made = attacked.body(method, template)
        headers = made.get("headers", {}) | {"Content-Type": "application/json"}
        if template.endswith("/query") and junk in ("infinite number", "endless number"):
            continue  # programs of the protocol may send members this hub does not read
        answer = attacked.ask(
            *(method, attacked.path(template), who),
            headers=headers,
            content=JUNK[junk],
            params=made.get("params") and {"kind": "test"},
        )
        assert is_refusal(answer), (route, answer.status_code, answer.text[:200])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_no_route_expands_what_it_is_sent(attacked: Any, coding: str) -> None:
    bomb = gzip.compress(b'{"reason":"' + b"a" * 1_000_000 + b'"}')
    for route in takes_json(attacked):
        method, template = route.split()
        who = next(who for part, who in reversed(WRITERS.items()) if part in template)
        made = attacked.body(method, template)
        path, headers = attacked.path(template), made.pop("headers", {})
        coded = headers | {"Content-Encoding": coding, "Content-Type": "application/json"}
        for sent in (made, {"content": bomb, "params": made.get("params")}):
            answer = attacked.ask(method, path, who, headers=coded, **sent)
            assert (answer.status_code, is_refusal(answer)) == (415, True), route
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"):
        answer = attacked.http.post(path, data={"a": "b"}, headers={"Content-Encoding": coding})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["reason", "url", "office", "format", "fileIds", "version"])
def test_a_member_said_twice_is_refused_wherever_it_is(attacked: Any, name: str) -> None:
    for route in takes_json(attacked):
        method, template = route.split()
        who = next(who for part, who in reversed(WRITERS.items()) if part in template)
        made = attacked.body(method, template)
        good = json.dumps(made.get("json", {}))[1:-1]
        twice = f'{{{good}{"," if good else ""}"{name}":"a","{name}":"a"}}'
        headers = made.get("headers", {}) | {"Content-Type": "application/json"}
        path, params = attacked.path(template), made.get("params") and {"kind": "test"}
        answer = attacked.ask(
            method, path, who, headers=headers, content=twice.encode(), params=params
        )
        assert is_refusal(answer), (route, answer.text[:200])


FORMS = (b"", b"\xff", b"grant_type=%ff", b"a&b&c", b"=&=", b"a=" * 100, b"grant_type=x" * 9_000)


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"])
def test_oauth_refuses_every_other_body_in_its_own_form(attacked: Any, path: str) -> None:
    form = "application/x-www-form-urlencoded"
    sent = [(form, body) for body in FORMS] + [("application/json", body) for body in JUNK.values()]
    for kind, body in sent:
        answer = attacked.http.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 401), (kind, body[:40])
        assert answer.json()["error"] in ("invalid_request", "invalid_client")
        assert answer.headers["cache-control"] == "no-store"


@pytest.fixture(scope="module")
def token(attacked: Any) -> str:
    return str(attacked.tokens["granted"])


def test_a_token_is_taken_from_one_header_and_nowhere_else(attacked: Any, token: str) -> None:
    bearer = f"Bearer {token}"
    http = attacked.http
    assert http.get("/v1/me", headers={"Authorization": bearer}).status_code == 200
    assert http.get("/v1/me", headers={"authorization": f"bEARER {token}"}).status_code == 200
    assert http.get("/v1/me", headers={"Authorization": f"Bearer  {token}"}).status_code == 200
    elsewhere: list[Any] = [
        http.get(f"/v1/me?access_token={token}"),
        http.request("GET", "/v1/me", content=f"access_token={token}"),
        http.get("/v1/me", headers={"Cookie": f"access_token={token}; Authorization={bearer}"}),
        http.get("/v1/me", headers={"X-Authorization": bearer, "Proxy-Authorization": bearer}),
        http.get("/v1/me", headers={"Authorization": f"Basic {token}"}),
        http.get("/v1/me", headers={"Authorization": token}),
        http.get("/v1/me", headers={"Authorization": f"Bearer {token},{token}"}),
        http.get("/v1/me", headers=[("Authorization", bearer), ("Authorization", bearer)]),
        http.get("/v1/me", headers=[("Authorization", bearer), ("Authorization", "Basic x")]),
    ]
    for answer in elsewhere:
        assert answer.status_code == 401
        assert token not in answer.text + str(answer.headers)
    # Beside a good header they are a parameter nobody knows.
    both = http.get(f"/v1/me?access_token={token}", headers={"Authorization": bearer})
    assert both.status_code == 400
    assert token not in both.text


def test_no_answer_repeats_a_host_somebody_made_up(attacked: Any, token: str) -> None:
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
        "X-Forwarded-Proto": "gopher",
        "X-Original-URL": "/metrics",
        "X-HTTP-Method-Override": "DELETE",
        "Authorization": f"Bearer {token}",
    }
    for route in attacked.described():
        method, template = route.split()
        if method == "GET":
            query = {"limit": "1"} if template.endswith(("/records", "/changes")) else {}
            answer = attacked.http.get(attacked.path(template), headers=headers, params=query)
            assert "evil.example" not in answer.text + str(answer.headers), route


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PATCH", "CONNECT", "PROPFIND"])
def test_a_method_a_route_does_not_have_is_405_and_the_answer_says_which_it_has(
    attacked: Any, method: str
) -> None:
    paths = attacked.app.openapi()["paths"]
    for template, operations in paths.items():
        path = template.replace("{", "").replace("}", "")
        answer = attacked.http.request(method, path)
        assert is_refusal(answer), (method, template, answer.status_code)
        assert answer.status_code == 405
        allowed = {name.strip() for name in answer.headers["allow"].split(",")} - {"HEAD"}
        assert allowed == {name.upper() for name in operations}, template
    description = attacked.http.request(method, "/openapi.json")
    assert (description.status_code, "GET" in description.headers["allow"]) == (405, True)


def test_head_is_get_without_the_body(attacked: Any) -> None:
    same = {"X-Request-Id": "the-same-one"}
    for route in attacked.described():
        method, template = route.split()
        if method == "GET":
            path = attacked.path(template)
            who = next(
                (who for who in ("granted", "manager", "operator") if is_ok(attacked, path, who)),
                None,
            )
            full = attacked.ask("GET", path, who, headers=same)
            head = attacked.ask("HEAD", path, who, headers=same)
            assert (head.status_code, head.content) == (full.status_code, b""), route


def is_ok(attacked: Any, path: str, who: str) -> bool:
    return bool(attacked.ask("GET", path, who).status_code < 300)


def test_a_parameter_nobody_knows_is_refused_at_every_route(attacked: Any) -> None:
    for route, described in attacked.described().items():
        method, template = route.split()
        # Prometheus may be set up to send parameters of its own.
        if not described.get("security") or template == "/metrics":
            continue
        path, body = attacked.path(template), attacked.body(method, template)
        body["params"] = body.get("params", {}) | {"nonsense": "1"}
        path, _, asked = path.partition("?")
        body["params"] |= dict(pair.split("=", 1) for pair in asked.split("&") if pair)
        statuses = {
            attacked.ask(method, path, who, **body).status_code
            for who in ("granted", "manager", "authorizer")
        }
        assert 400 in statuses, route
        assert statuses <= {400, 403, 404}, route


@pytest.mark.parametrize("added", ["%00", "%2f", ";a=b", "%20", "/%2e%2e"])
def test_a_path_with_something_added_is_another_path(attacked: Any, token: str, added: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for template in attacked.app.openapi()["paths"]:
        path = attacked.path(template).partition("?")[0] + added
        answer = attacked.http.get(path, headers=headers)
        assert answer.status_code in (400, 404, 405), (path, answer.status_code)
        assert is_refusal(answer), path


def test_an_escaped_slash_parts_no_names(attacked: Any, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for template in attacked.app.openapi()["paths"]:
        path = attacked.path(template).partition("?")[0]
        for escaped in (path[0] + path[1:].replace("/", "%2F"), "%2f".join(path.rsplit("/", 1))):
            if "%2" in escaped:
                answer = attacked.http.get(escaped, headers=headers)
                assert answer.status_code == 404, escaped


@pytest.mark.parametrize("added", ["/", "//"])
def test_every_path_with_a_slash_at_its_end_leads_to_the_one_without(
    attacked: Any, added: str
) -> None:
    for template in attacked.app.openapi()["paths"]:
        path = attacked.path(template).partition("?")[0]
        answer = attacked.http.get(path + added, follow_redirects=False)
        assert answer.status_code == 308, path
        assert answer.headers["Location"].endswith(path)
        assert answer.content == b""


RAW = (
    "/v1/me/../../metrics",
    "/v1/%2e%2e/metrics",
    "/v1/offices/%2e%2e%2f/deliveries",
    "//v1/me",
    "/v1//me",
    "/V1/me",
    "/v1/me%00",
    "/v1/me%0d%0aX-Injected:%201",
    "/v1/offices/%c0%ae%c0%ae/deliveries",
    "/v1/offices/%ed%a0%80/deliveries",
    "/v1/offices/%ff/trademarks/records",
    "/v1/offices/KH/trademarks/records/" + "a" * 15_000,
    "/v1/offices/KH/trademarks/records?q=" + "a" * 16_000,
    "/v1/me?" + "&".join(f"a{number}=1" for number in range(2_000)),
    "*",
)


@pytest.fixture(scope="module")
def served(attacked: Any, attack_tools: Any) -> Any:
    """The address of the hub behind its real server."""
    with attack_tools.serving(attacked.app) as url:
        yield urlsplit(url)


def raw(served: Any, head: bytes) -> bytes:
    """Send bytes to the server and return all it says."""
    with socket.create_connection((served.hostname, served.port), timeout=10) as sender:
        said = b""
        with suppress(OSError):  # it may have heard enough before we have said all
            sender.sendall(head)
        with suppress(ConnectionResetError):
            while chunk := sender.recv(65_536):
                said += chunk
    return said


@pytest.mark.parametrize("target", RAW, ids=lambda target: target[:40])
def test_a_hostile_target_is_refused_by_the_real_server(
    served: Any, token: str, target: str
) -> None:
    lines = [f"GET {target} HTTP/1.1", "Host: hub", f"Authorization: Bearer {token}"]
    said = raw(served, "\r\n".join([*lines, "Connection: close", "", ""]).encode())
    status = int(said.split(b" ", 2)[1])
    assert status in (400, 404, 405, 410, 414), said[:300]
    assert b"x-injected" not in said.lower().partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("target", "status", "place"),
    [
        (
            "/v1/offices/KH/trademarks/records/?limit=5",
            308,
            "/v1/offices/KH/trademarks/records?limit=5",
        ),
        ("/v1/offices/%4bH/trademarks/records//", 308, "/v1/offices/%4bH/trademarks/records"),
        ("/oauth2/token/", 308, "/oauth2/token"),
        ("/v1/nothing/", 404, None),
        ("/v1/offices/KH%2f", 404, None),
        ("//v1/me/", 404, None),
        ("//evil.example/v1/me/", 404, None),
        ("/v1/me/%0d%0aX-Injected:1/", 404, None),
        ("/", 404, None),
    ],
)
def test_a_path_with_a_slash_at_its_end_leads_to_the_one_without(
    served: Any, target: str, status: int, place: str | None
) -> None:
    said = raw(served, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head = said.partition(b"\r\n\r\n")[0].decode().lower()
    assert int(head.split(" ")[1]) == status, head
    found = re.search(r"^location: (.*?)\r?$", head, re.MULTILINE)
    assert (found and urlsplit(found[1]).path) == (place and urlsplit(place).path.lower())
    assert not found or found[1].endswith(str(place).lower())
    assert "evil" not in head
    assert "\nx-injected" not in head


def test_a_host_in_the_target_is_not_repeated(served: Any, token: str) -> None:
    lines = ["GET http://evil.example/v1/offices HTTP/1.1", f"Authorization: Bearer {token}"]
    said = raw(served, "\r\n".join([*lines, "Host: x", "Connection: close", "", ""]).encode())
    assert said.startswith(b"HTTP/1.1 200")
    assert b"evil" not in said


HEADS = {
    "a megabyte of token": b"Authorization: Bearer " + b"a" * 1_000_000,
    "a megabyte of headers": b"\r\n".join(b"X-%d: %s" % (n, b"a" * 1_000) for n in range(1_000)),
    "a token with NUL": b"Authorization: Bearer a\x00b",
    "a folded header": b"Authorization: Bearer\r\n a",
    "a header without a name": b": a",
    "bytes beyond ASCII": "Authorization: Bearer ភាសា".encode(),
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    "no length": b"Content-Length: -1",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_hostile_head_is_refused_by_the_real_server(served: Any, name: str) -> None:
    said = raw(
        served,
        b"GET /v1/me HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n" + HEADS[name] + b"\r\n\r\n",
    )
    # Where nothing is said at all the connection was closed while we were still writing.
    assert said == b"" or int(said.split(b" ", 2)[1]) in (400, 401, 431), said[:300]
    assert raw(
        served, b"GET /healthz HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"
    ).startswith(b"HTTP/1.1 200")
