"""Tokens: how a client gets one, what it opens, and what must not open anything."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from structlog.testing import capture_logs

from api import client_assertions
from api.oauth import _asked, scopes_of
from api.oauth_forms import Refusal
from ipregister.roles import Role

PUBLIC = "http://hub.test"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = {"content-type": "application/x-www-form-urlencoded"}


World = Any
"""As ``oauth_world.py`` has it."""


def post(world: World) -> dict[str, str]:
    return {"client_id": world.client_id, "client_secret": world.secret}


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def check_token(world: World, answer: httpx.Response, client_id: str) -> str:
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert (document["token_type"], document["expires_in"]) == ("Bearer", 600)
    assert len(document["access_token"]) == 43
    assert world.me(document["access_token"]).json()["clientId"] == client_id
    return str(document["access_token"])


def test_basic_post_and_assertion_each_give_a_token(world: World) -> None:
    check_token(world, world.token(headers=basic(world.client_id, world.secret)), world.client_id)
    check_token(world, world.token(post(world)), world.client_id)
    check_token(world, world.token(world.signed()), world.key_id)
    aimed = world.signed("j2", aud=f"{PUBLIC}/oauth2/token") | {"client_id": world.key_id}
    check_token(world, world.token(aimed), world.key_id)


def test_me_tells_who_and_what(world: World) -> None:
    token = world.token(post(world)).json()["access_token"]
    told = world.me(token).json()
    assert told.pop("quota")["requests"] == {
        "limit": 1_000,
        "windowSeconds": 60,
        "remaining": 999,
        "fullAgainInSeconds": 1,
    }
    assert told == {
        "clientId": world.client_id,
        "thirdParty": "Acme",
        "role": "third_party",
        "authorizations": [
            {
                "officeCode": "KH",
                "version": 1,
                "rights": [
                    {
                        "right": "trademarks",
                        "allowed": [
                            *("core", "stakeholder", "status_change", "examination", "documents")
                        ],
                        "withheld": [],
                        "rows": {},
                        "freeText": True,
                    }
                ],
                "validFrom": None,
                "validUntil": None,
                "termsOfUse": "internal_use",
                "purpose": None,
            }
        ],
    }


def test_scope_is_told_when_asked_and_refused_when_unknown(world: World) -> None:
    assert "scope" not in world.token(post(world)).json()
    asked = world.token(post(world) | {"scope": "changes:read unknown"}).json()
    assert "changes:read" in asked["scope"].split()
    refused = world.token(post(world) | {"scope": "admin"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_scope_is_given_that_is_not_the_clients(data: st.DataObject) -> None:
    """Whatever is asked: what is given was asked for, and is of the client's role."""
    role, das = data.draw(st.sampled_from(list(Role))), data.draw(st.booleans())
    client = replace(client_assertions._NOBODY, role=role, dasCompat=das)
    everything = {word for each in Role for word in scopes_of(replace(client, role=each))}
    words = st.sampled_from(sorted(everything)) | st.text("abc:*", min_size=1, max_size=9)
    asked = data.draw(st.lists(words | st.just("data:read:*"), max_size=12))
    form = {"grant_type": "client_credentials", "scope": " ".join(asked)}
    found = _asked(Request({"type": "http", "headers": []}), client, form)
    own = set(scopes_of(client))
    if isinstance(found, Refusal):
        assert found.error == "invalid_scope"
        assert asked
        assert not own & set(asked)
    else:
        assert set(found) == own & set(asked)


def test_a_token_opens_no_more_than_the_scope_it_was_asked_for(world: World) -> None:
    def status(scope: str, path: str) -> int:
        token = world.token(post(world) | {"scope": scope}).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return int(world.http.get(path, headers=headers).status_code)

    marks = "/v1/offices/KH/trademarks/records"
    assert world.token(post(world) | {"scope": "data:read:designs"}).json()["scope"] == (
        "data:read:designs"
    )
    assert status("data:read:trademarks", marks) == 200
    assert status("data:read:designs", marks) == 404
    assert status("data:read:trademarks", "/v1/changes") == 403
    assert status("data:read:trademarks changes:read", "/v1/changes") == 200
    certificate = "/v1/me/authorizations/KH/certificate"
    assert status("data:read:trademarks", certificate) == 200
    assert status("data:read:designs", certificate) == status("exports:create", certificate) == 404
    # They tell of every right, and are how a client learns of changes.
    assert status("data:read:trademarks", "/v1/me/webhooks") == 403
    assert status("changes:read", "/v1/me/webhooks") == 200
    described = world.http.get("/openapi.json").json()["paths"]["/v1/changes"]["get"]
    assert {"200", "403"} <= described["responses"].keys()


def test_who_is_not_believed_always_gets_the_same_answer(world: World) -> None:
    wrong = [
        world.token({"client_id": world.client_id, "client_secret": "wrong"}),
        world.token({"client_id": "nobody", "client_secret": world.secret}),
        world.token({"client_id": world.key_id, "client_secret": world.secret}),
        world.token({"client_id": world.client_id}),
        world.token(),
        world.token(world.signed(sub="nobody", iss="nobody")),
        world.token(world.signed(aud="https://other.example")),
        world.token(world.signed(exp=1)),
        world.token({"client_assertion_type": ASSERTION, "client_assertion": "x"}),
        world.token({"client_id": "x" * 5_000, "client_secret": "y"}),
        world.token({"client_id": "\0", "client_secret": "y"}),
        world.token(world.signed(sub="\ud800", iss="\ud800")),
    ]
    bodies = {(answer.status_code, answer.content) for answer in wrong}
    ((status, body),) = bodies
    assert (status, json.loads(body)["error"]) == (401, "invalid_client")
    assert "your clock against the Date" in json.loads(body)["error_description"]


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic %%%",
        "Basic eA==",
        "Basic bm9ib2R5OngK",
        "Bearer x",
        "Digest x",
        "Basic 4Z4=",
    ],
)
def test_other_authorization_headers_are_not_believed(world: World, header: str) -> None:
    answer = world.token(headers={"Authorization": header})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_two_credentials_at_once_are_malformed(world: World) -> None:
    header = basic(world.client_id, world.secret)
    for answer in (
        world.token(post(world), headers=header),
        world.token(world.signed(), headers=header),
        world.token(world.signed() | post(world)),
        world.token({"client_id": world.key_id}, headers=header),
        world.token(world.signed() | {"client_id": world.client_id}),
        world.token({"client_assertion": world.assertion()}),
        world.token({"client_assertion_type": ASSERTION}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "x"])
def test_other_grants_are_not_supported(world: World, grant: str) -> None:
    answer = world.token(post(world) | {"grant_type": grant})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_malformed_requests_are_refused(world: World) -> None:
    good = f"grant_type=client_credentials&client_id={world.client_id}"
    full = f"{good}&client_secret={world.secret}"
    send = world.http.post
    for answer in (
        send("/oauth2/token", content=f"{full}&client_id=x", headers=FORM),
        send("/oauth2/token", content=f"{full}&grant_type=client_credentials", headers=FORM),
        send("/oauth2/token", content=full),
        send("/oauth2/token", json={"grant_type": "client_credentials"} | post(world)),
        send("/oauth2/token", content=full + "&x=%ff", headers=FORM),
        send("/oauth2/token", content=full.encode() + b"\xff", headers=FORM),
        send("/oauth2/token", content=full + "&x=" + "y" * 40_000, headers=FORM),
        send("/oauth2/token", content=full + "&a=1" * 40, headers=FORM),
        send("/oauth2/token?" + full, headers=FORM),
        send("/oauth2/token", content=full.replace("client_credentials", ""), headers=FORM),
        world.http.get("/oauth2/token?" + full),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert world.secret not in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_an_assertion_opens_once_even_when_sent_many_times_at_once(world: World) -> None:
    form = world.signed()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: world.token(form).status_code, range(40)))
    assert sorted(answers) == [200] + [401] * 39


@pytest.mark.parametrize("steps", [(60, -60), (-60, 60), (59, -60, 1), (-60, -60, 120)])
def test_an_assertion_opens_once_also_after_the_clock_was_set(
    world: World, steps: tuple[int, ...]
) -> None:
    form = world.signed(exp=int(world.now[0].timestamp()) + 1)
    assert world.token(form).status_code == 200
    for step in steps:
        world.now[0] += timedelta(seconds=step)
        world.service.ledger.tokens.purge(world.now[0])
        assert world.token(form).status_code == 401


def test_an_assertion_for_one_endpoint_is_of_no_use_at_the_other(world: World) -> None:
    form = world.signed(aud=f"{PUBLIC}/oauth2/token") | {"token": "x"}
    assert world.http.post("/oauth2/revoke", data=form).status_code == 401


def test_a_token_dies_at_its_minute(world: World) -> None:
    token = check_token(world, world.token(post(world)), world.client_id)
    world.now[0] += timedelta(seconds=599)
    assert world.me(token).status_code == 200
    world.now[0] += timedelta(seconds=1)
    assert world.me(token).status_code == 401


def test_revocation_acts_on_the_next_request(world: World) -> None:
    token = check_token(world, world.token(post(world)), world.client_id)
    other = check_token(world, world.token(world.signed()), world.key_id)
    revoke = world.http.post("/oauth2/revoke", data=post(world) | {"token": other})
    assert (revoke.status_code, world.me(other).status_code) == (200, 200), "not its token"
    for _ in range(2):
        assert world.http.post("/oauth2/revoke", data=post(world) | {"token": token}).content == b""
    assert (world.me(token).status_code, world.me(other).status_code) == (401, 200)
    assert world.http.post("/oauth2/revoke", data={"token": other}).status_code == 401
    assert world.http.post("/oauth2/revoke", data=post(world)).status_code == 400
    assert world.http.get("/oauth2/revoke").status_code == 400


def test_a_revoked_client_is_out_at_once(world: World) -> None:
    token = check_token(world, world.token(post(world)), world.client_id)
    world.service.ledger.clients.revoke(world.client_id, at=world.now[0], by="test")
    assert world.me(token).status_code == 401
    assert world.token(post(world)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer unknown")],
        [("Authorization", "Bearer " + "x" * 1_000)],
        [("Authorization", "Bearer ")],
        [("Authorization", "Bearer {}"), ("Authorization", "Bearer {}")],
        [("Authorization", "Bearer {} ")],
    ],
)
def test_other_tokens_open_nothing(world: World, headers: list[tuple[str, str]]) -> None:
    token = world.token(post(world)).json()["access_token"]
    sent = [(name, value.format(token)) for name, value in headers]
    answer = world.http.get("/v1/me", headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="asean-ip-hub", error="invalid_token", '
        'error_description="The access token is unknown, expired or revoked", '
        f'resource_metadata="{PUBLIC}/.well-known/oauth-protected-resource"'
    )


def test_a_token_is_taken_from_the_header_only(world: World) -> None:
    token = world.token(post(world)).json()["access_token"]
    assert world.http.get("/v1/me", headers={"Authorization": f"bEaReR {token}"}).status_code == 200
    for answer in (
        world.http.get("/v1/me"),
        world.http.get(f"/v1/me?access_token={token}"),
        world.http.get("/v1/me", headers={"Cookie": f"access_token={token}"}),
        world.http.get("/v1/me", headers={"Authorization": f"Basic {token}"}),
    ):
        assert answer.status_code == 401
        assert "error=" not in answer.headers["www-authenticate"]


def test_metadata_leads_to_the_token(world: World) -> None:
    resource = world.http.get("/.well-known/oauth-protected-resource").json()
    assert resource["authorization_servers"] == [PUBLIC]
    server = world.http.get("/.well-known/oauth-authorization-server").json()
    assert server["issuer"] == PUBLIC
    assert server["token_endpoint_auth_signing_alg_values_supported"] == ["ES256", "PS256", "EdDSA"]
    path = server["token_endpoint"].removeprefix(PUBLIC)
    answer = world.http.post(path, data=post(world) | {"grant_type": "client_credentials"})
    check_token(world, answer, world.client_id)


def test_no_secret_is_kept_or_logged(world: World, tmp_path: Path) -> None:
    with capture_logs() as logs:
        token = check_token(world, world.token(post(world)), world.client_id)
        world.token({"client_id": world.secret, "client_secret": "pasted the wrong way round"})
        world.token({"client_id": world.client_id, "client_secret": "guess"})
        world.token(world.signed(aud="x"))
    assert [entry["event"] for entry in logs] == ["client_refused"] * 3
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir()) + repr(logs).encode()
    for secret in (world.secret, token, "guess", "wrong way"):
        assert secret.encode() not in kept
