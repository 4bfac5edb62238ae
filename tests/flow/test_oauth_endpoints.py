"""Introspection, the hub's keys, metadata, guessing, and two environments side by side."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.requests import Request

from api.addresses import client_address
from connectors.ledger import ClientChanges
from connectors.ledger.public_keys import thumbprint
from connectors.networks import read_networks
from ipregister.errors import ConfigurationError
from ipregister.roles import Role

World = Any
INACTIVE = b'{"active":false}'


def token_of(world: World, **form: str) -> str:
    credentials = {"client_id": world.client_id, "client_secret": world.secret}
    return str(world.token(credentials | form).json()["access_token"])


def introspect(world: World, token: str, **form: str) -> Any:
    credentials = form or {"client_id": world.client_id, "client_secret": world.secret}
    return world.http.post("/oauth2/introspect", data=credentials | {"token": token})


# --- introspection ---------------------------------------------------------------------------


def test_a_client_learns_what_its_own_token_is_worth(world: World) -> None:
    at = int(world.now[0].timestamp())
    answer = introspect(world, token_of(world, scope="changes:read"))
    assert answer.json() == {
        "active": True,
        "client_id": world.client_id,
        "sub": world.client_id,
        "iss": "http://hub.test",
        "aud": "http://hub.test",
        "iat": at,
        "exp": at + 600,
        "token_type": "Bearer",
        "scope": "changes:read",
    }
    assert answer.headers["cache-control"] == "no-store"


def test_introspection_tells_which_key_a_token_is_bound_to(world: World, oauth: Any) -> None:
    prover = oauth.Prover()
    proof = prover.proof(world, "/oauth2/token", method="POST")
    form = {"client_id": world.client_id, "client_secret": world.secret}
    token = world.token(form, headers={"DPoP": proof}).json()["access_token"]
    told = introspect(world, token).json()
    assert told["token_type"] == "DPoP"
    assert told["cnf"] == {"jkt": thumbprint(prover.jwk)}


def test_of_other_tokens_a_client_learns_nothing_and_an_operator_everything(world: World) -> None:
    token = token_of(world)
    clients, now = world.service.ledger.clients, world.now[0]
    other, secret = clients.add(name="o", third_party="Bob", at=now, by="test")
    stranger = {"client_id": other.clientId, "client_secret": secret}
    operator, secret = clients.add(name="op", role=Role.OPERATOR, at=now, by="test")
    operating = {"client_id": operator.clientId, "client_secret": secret}
    assert introspect(world, token, **stranger).content == INACTIVE
    assert introspect(world, "unknown", **stranger).content == INACTIVE
    assert introspect(world, token, **operating).json()["client_id"] == world.client_id
    world.now[0] += timedelta(seconds=600)
    assert introspect(world, token, **operating).content == INACTIVE


def test_introspection_wants_a_client_and_a_token(world: World) -> None:
    assert world.http.post("/oauth2/introspect", data={"token": "x"}).status_code == 401
    form = {"client_id": world.client_id, "client_secret": world.secret}
    assert world.http.post("/oauth2/introspect", data=form).status_code == 400
    assert world.http.get("/oauth2/introspect?token=x").status_code == 400
    used = world.signed(aud="http://hub.test/oauth2/token") | {"token": "x"}
    assert world.http.post("/oauth2/introspect", data=used).status_code == 401


# --- keys and metadata -----------------------------------------------------------------------


def test_what_the_hub_signs_verifies_with_its_published_keys(world: World) -> None:
    keys = world.service.keys
    signer = keys.current(world.now[0])
    signed = jwt.encode({"a": 1}, signer.private, "ES256", headers={"kid": signer.kid})
    keys.rotate(world.now[0])
    answer = world.http.get("/oauth2/jwks")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    published = {key["kid"]: key for key in answer.json()["keys"]}
    assert len(published) == 2
    jwk = jwt.PyJWK(published[jwt.get_unverified_header(signed)["kid"]])
    assert jwt.decode(signed, jwk, algorithms=["ES256"]) == {"a": 1}
    assert all("d" not in key for key in published.values())


def test_metadata_names_endpoints_that_answer(world: World) -> None:
    told = world.http.get("/.well-known/oauth-authorization-server").json()
    for name, value in told.items():
        if name.endswith("_endpoint"):
            assert world.http.post(value).status_code == 400, name
            assert told[f"{name}_auth_methods_supported"] == [
                *("client_secret_basic", "client_secret_post", "private_key_jwt")
            ]
    assert world.http.get(told["jwks_uri"]).status_code == 200
    assert told["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "EdDSA"]
    resource = world.http.get("/.well-known/oauth-protected-resource").json()
    assert resource["dpop_bound_access_tokens_required"] is False
    assert told["environment"] == resource["environment"] == "production"


# --- guessing --------------------------------------------------------------------------------


@pytest.fixture
def proxied(tmp_path: Path, oauth: Any) -> Iterator[World]:
    """A hub that believes its test client, which is no address, and a proxy at 10.0.0.1."""
    with oauth.open_world(tmp_path, proxies=read_networks("10.0.0.0/8")) as opened:
        yield opened


def guess(
    world: World, client_id: str, *, secret: str = "guess", address: str = "192.0.2.1"
) -> Any:
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    world.http._transport.client = ("10.0.0.1", 50_000)
    headers = {"Authorization": f"Basic {pair}", "X-Forwarded-For": f"203.0.113.9, {address}"}
    return world.token(headers=headers)


def test_guessing_ends_after_ten_failures_and_only_where_it_came_from(proxied: World) -> None:
    world, now = proxied, proxied.now[0]
    assert [guess(world, world.client_id).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    refused = guess(world, world.client_id, secret=world.secret)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
    assert refused.json()["error"] == "temporarily_unavailable"
    assert (
        guess(world, world.client_id, secret=world.secret, address="192.0.2.2").status_code == 200
    )
    assert guess(world, world.key_id).status_code == 401, "another client, the same address"
    world.now[0] = now + timedelta(seconds=6)
    assert guess(world, world.client_id, secret=world.secret).status_code == 200


def test_success_costs_nothing(proxied: World) -> None:
    statuses = {
        guess(proxied, proxied.client_id, secret=proxied.secret).status_code for _ in range(30)
    }
    assert statuses == {200}


def test_an_unknown_client_is_answered_like_a_known_one(proxied: World) -> None:
    def answers(client_id: str) -> list[tuple[int, bytes, list[tuple[str, str]]]]:
        tried = [guess(proxied, client_id) for _ in range(12)]
        return [
            (a.status_code, a.content, [h for h in a.headers.items() if h[0] != "x-request-id"])
            for a in tried
        ]

    assert answers(proxied.client_id) == answers("tp-0123456789abcdef")


def test_guesses_do_not_reach_hashing(proxied: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    clients = type(proxied.service.ledger.clients)
    plain = clients.verify_secret

    def counting(self: Any, client_id: str, secret: str, at: Any) -> Any:
        looked.append(client_id)
        return plain(self, client_id, secret, at)

    monkeypatch.setattr(clients, "verify_secret", counting)
    assert {guess(proxied, proxied.client_id).status_code for _ in range(1_000)} == {401, 429}
    assert len(looked) == 10


def test_assertions_that_fail_are_counted_too(world: World) -> None:
    """Ten of them like one secret: nobody guesses a signature, but many get an audience wrong."""
    wrong = [world.token(world.signed(aud="https://other.test")).status_code for _ in range(101)]
    assert wrong == [401] * 100 + [429]
    world.now[0] += timedelta(seconds=1)
    assert world.token(world.signed()).status_code == 200


# --- profiles over HTTP ----------------------------------------------------------------------


def test_das_gets_its_token_with_its_own_scope_and_no_identifier(world: World) -> None:
    changes = ClientChanges(dasCompat=True)
    world.service.ledger.clients.configure(world.key_id, changes, at=world.now[0], by="test")
    form = world.signed(jti=None, aud="http://hub.test/oauth2/token")
    claims = jwt.decode(form["client_assertion"], options={"verify_signature": False})
    del claims["jti"]
    form["client_assertion"] = jwt.encode(claims, world.key, "ES256")
    answer = world.token(form | {"scope": "das-api/das-access"})
    assert (answer.status_code, answer.json()["scope"]) == (200, "das-api/das-access")
    token = answer.json()["access_token"]
    assert world.me(token).json()["authorizations"] == []
    assert world.token(form).status_code == 401, "it opens once"


# --- environments ----------------------------------------------------------------------------


def test_a_token_of_one_environment_is_refused_by_the_other(
    world: World, oauth: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "acceptance"
    folder.mkdir()
    with oauth.open_world(folder, environment="acceptance") as other:
        theirs, ours = token_of(other), token_of(world)
        assert theirs.startswith("acceptance.")
        assert other.me(theirs).status_code == world.me(ours).status_code == 200
        assert other.me(ours).status_code == world.me(theirs).status_code == 401
        # Not even when the ledgers were the same: the token itself says where it is good.
        for foreign, hub in ((theirs, world), (ours, other)):
            expires = hub.now[0] + timedelta(minutes=1)
            digest = sha256(foreign.encode()).digest()
            hub.service.ledger.tokens.issue(hub.client_id, digest, expires, hub.now[0])
            assert hub.me(foreign).status_code == 401
        assert other.http.get("/.well-known/oauth-authorization-server").json()["environment"] == (
            "acceptance"
        )


# --- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "named", "address"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("::ffff:192.0.2.7", [], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
    ],
)
def test_a_forwarded_address_is_believed_from_our_proxies_only(
    peer: str, named: list[str], address: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in named]
    scope = {"type": "http", "headers": headers, "client": (peer, 1)}
    assert str(client_address(Request(scope), read_networks("10.0.0.0/8"))) == address


def test_what_postgresql_cannot_hold_is_not_there(
    oauth: Any, tmp_path: Path, postgres_url: str
) -> None:
    """A NUL: sent as it is, or what an escaped slash became on its way to a route."""
    with oauth.open_world(tmp_path, ledger_url=postgres_url) as world:
        token = world.token({"client_id": world.client_id, "client_secret": world.secret})
        who = {"Authorization": f"Bearer {token.json()['access_token']}"}
        for name in ("%00", "a%2Fb", "a%00%2f"):
            for path in (f"/v1/me/webhooks/{name}", f"/v1/jobs/{name}"):
                assert world.http.get(path, headers=who).status_code == 404, path
        assert world.token({"client_id": "\0", "client_secret": "x"}).status_code == 401


def test_proxies_that_are_none_are_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="name addresses or networks"):
        read_networks("the-proxy")
