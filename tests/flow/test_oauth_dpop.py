"""Proofs of possession: a bound token is worth nothing without its key."""

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from api import auth
from connectors.ledger import ClientChanges
from connectors.serving_store import ServingStore
from ipregister.model import Disclosure, Right

World = Any
Prover = Any


@pytest.fixture
def prover(oauth: Any) -> Prover:
    return oauth.Prover()


@pytest.fixture
def token(world: World, prover: Prover) -> str:
    answer = ask(world, prover.proof(world, "/oauth2/token", method="POST"))
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP"), answer.text
    return str(answer.json()["access_token"])


def ask(world: World, *proofs: str) -> Any:
    """Ask for a token with these proofs."""
    form = {"client_id": world.client_id, "client_secret": world.secret}
    return world.token(form, headers=[("DPoP", proof) for proof in proofs])


def me(world: World, token: str, *proofs: str, scheme: str = "DPoP") -> Any:
    headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs)]
    return world.http.get("/v1/me", headers=headers)


def test_a_bound_token_opens_with_a_proof_of_its_key(
    world: World, prover: Prover, token: str
) -> None:
    for scheme in ("DPoP", "dpop"):
        proof = prover.proof(world, "/v1/me", token=token)
        answer = me(world, token, proof, scheme=scheme)
        assert answer.status_code == 200, answer.text


def test_one_proof_is_enough_where_less_is_shared_when_a_search_is_through(
    world: World, prover: Prover, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, acts = ServingStore.page, [Disclosure.STAKEHOLDER]

    def searching(*args: Any, **more: Any) -> Any:
        while acts:
            less = {Right.TRADEMARKS: frozenset({acts.pop()})}
            world.service.ledger.authorizations.set("KH", "Acme", less, None, world.now[0], "test")
        return search(*args, **more)

    monkeypatch.setattr(auth, "LOOK_SECONDS", 0)
    monkeypatch.setattr(ServingStore, "page", searching)
    path = "/v1/offices/KH/trademarks/records"
    proof = prover.proof(world, path, token=token)
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    answer = world.http.get(path, params={"q": "veldara"}, headers=headers)
    assert (answer.status_code, acts) == (200, []), answer.text


def test_a_bound_token_alone_opens_nothing(world: World, prover: Prover, token: str) -> None:
    proof = prover.proof(world, "/v1/me", token=token)
    for answer in (
        me(world, token, scheme="Bearer"),
        me(world, token, proof, scheme="Bearer"),
        me(world, token),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('DPoP realm="asean-ip-hub", error="invalid_')
        assert 'algs="ES256 PS256 EdDSA"' in challenge


def test_a_token_that_is_not_bound_is_no_dpop_token(world: World, prover: Prover) -> None:
    plain = ask(world).json()["access_token"]
    assert me(world, plain, scheme="Bearer").status_code == 200
    answer = me(world, plain, prover.proof(world, "/v1/me", token=plain))
    assert answer.status_code == 401


def test_who_proves_possession_is_told_of_a_dead_token_in_its_own_scheme(
    world: World, prover: Prover, token: str
) -> None:
    proof = prover.proof(world, "/v1/me", token=token)
    world.service.ledger.tokens.revoke(sha256(token.encode()).digest(), world.now[0])
    challenge = me(world, token, proof).headers["www-authenticate"]
    assert challenge.startswith('DPoP realm="asean-ip-hub", error="invalid_token"')
    assert me(world, token, scheme="Bearer").headers["www-authenticate"].startswith("Bearer ")


def other_key(world: World, prover: Prover, token: str) -> str:
    return str(type(prover)().proof(world, "/v1/me", token=token))


def with_private_half(world: World, prover: Prover, token: str) -> str:
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(prover.key))
    assert "d" in private
    return str(prover.proof(world, "/v1/me", token=token, header={"jwk": private}))


def with_a_list_of_algorithms(world: World, prover: Prover, token: str) -> str:
    header = {"jwk": prover.jwk | {"alg": ["ES256"]}}
    return str(prover.proof(world, "/v1/me", token=token, header=header))


def with_others_key_named(world: World, prover: Prover, token: str) -> str:
    return str(prover.proof(world, "/v1/me", token=token, header={"jwk": type(prover)().jwk}))


def with_a_shared_secret(world: World, prover: Prover, token: str) -> str:
    claims = jwt.decode(
        prover.proof(world, "/v1/me", token=token), options={"verify_signature": False}
    )
    return jwt.encode(claims, "k" * 64, "HS256", headers={"typ": "dpop+jwt", "jwk": prover.jwk})


def without_signature(world: World, prover: Prover, token: str) -> str:
    return str(prover.proof(world, "/v1/me", token=token)).rpartition(".")[0] + "."


def in_two_pieces(world: World, prover: Prover, token: str) -> str:
    return str(prover.proof(world, "/v1/me", token=token)).rpartition(".")[0]


def in_four_pieces(world: World, prover: Prover, token: str) -> str:
    return str(prover.proof(world, "/v1/me", token=token)) + ".e30"


WRONG: dict[str, Any] = {
    "another method": {"htm": "POST"},
    "a method in small letters": {"htm": "get"},
    "another path": {"htu": "http://hub.test/v1/offices"},
    "another host": {"htu": "http://other.test/v1/me"},
    "another scheme": {"htu": "https://hub.test/v1/me"},
    "another port": {"htu": "http://hub.test:8080/v1/me"},
    "no address": {"htu": None},
    "an address that is none": {"htu": "http://[/v1/me"},
    "no method": {"htm": None},
    "no identifier": {"jti": None},
    "an identifier without end": {"jti": "x" * 300},
    "no time": {"iat": None},
    "a time as text": {"iat": "now"},
    "another token": {"ath": "x" * 43},
    "no token": {"ath": None},
    "a token that is no text": {"ath": "\ud800"},
    "another type": {"header": {"typ": "JWT"}},
    "no key": {"header": {"jwk": None}},
    "a key that is none": {"header": {"jwk": {"kty": "EC"}}},
    "a list of algorithms": with_a_list_of_algorithms,
    "an address of keys": {"header": {"jku": "https://evil.test/keys"}},
    "another key": other_key,
    "the private half": with_private_half,
    "somebody else's key named": with_others_key_named,
    "a shared secret": with_a_shared_secret,
    "no signature": without_signature,
    "too few pieces": in_two_pieces,
    "too many pieces": in_four_pieces,
    "a claim without end": {"claim": "x" * 9_000},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_proof_that_does_not_fit_is_refused(
    world: World, prover: Prover, token: str, name: str
) -> None:
    made: dict[str, Any] | Callable[..., str] = WRONG[name]
    if isinstance(made, dict):
        proof = prover.proof(world, "/v1/me", **{"token": token} | made)
    else:
        proof = made(world, prover, token)
    answer = me(world, token, proof)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]
    assert "iat by the Date of this answer" in answer.headers["www-authenticate"]
    assert "RateLimit" not in answer.headers
    # It was the proof and nothing else.
    assert me(world, token, prover.proof(world, "/v1/me", token=token)).status_code == 200


@pytest.mark.parametrize(("ahead", "status"), [(-60, 200), (60, 200), (-61, 401), (61, 401)])
def test_a_proof_is_good_for_a_minute(
    world: World, prover: Prover, token: str, ahead: int, status: int
) -> None:
    iat = int(world.now[0].timestamp()) + ahead
    assert me(world, token, prover.proof(world, "/v1/me", token=token, iat=iat)).status_code == (
        status
    )


def test_a_proof_opens_once_also_after_the_clock_was_set_back(
    world: World, prover: Prover, token: str
) -> None:
    proof = prover.proof(world, "/v1/me", token=token)
    assert me(world, token, proof).status_code == 200
    for step in (0, 59, -60):
        world.now[0] += timedelta(seconds=step)
        assert me(world, token, proof).status_code == 401


def test_two_proofs_are_one_too_many(world: World, prover: Prover, token: str) -> None:
    proofs = [prover.proof(world, "/v1/me", token=token) for _ in range(2)]
    assert me(world, token, *proofs).status_code == 401
    asking = [prover.proof(world, "/oauth2/token", method="POST") for _ in range(2)]
    answer = ask(world, *asking)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("htu", ["{}/v1/me?fields=x", "{}/v1/me#top", "HTTP://HUB.test:80/v1/m%65"])
def test_an_address_may_be_spelt_differently(
    world: World, prover: Prover, token: str, htu: str
) -> None:
    proof = prover.proof(world, "/v1/me", token=token, htu=htu.format("http://hub.test"))
    assert me(world, token, proof).status_code == 200


def test_head_is_proved_as_head(world: World, prover: Prover, token: str) -> None:
    def head(method: str) -> int:
        proof = prover.proof(world, "/v1/me", token=token, method=method)
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        return int(world.http.head("/v1/me", headers=headers).status_code)

    assert (head("HEAD"), head("GET")) == (200, 401)


@pytest.mark.parametrize("changed", [{"htm": "GET"}, {"htu": "http://hub.test/v1/me"}, {"iat": 1}])
def test_no_token_is_given_for_a_proof_that_does_not_fit(
    world: World, prover: Prover, changed: dict[str, Any]
) -> None:
    answer = ask(world, prover.proof(world, "/oauth2/token", **{"method": "POST"} | changed))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert answer.headers["cache-control"] == "no-store"


def test_a_client_that_must_bind_its_tokens_gets_no_other(world: World, prover: Prover) -> None:
    changes = ClientChanges(dpopRequired=True)
    world.service.ledger.clients.configure(world.client_id, changes, at=world.now[0], by="test")
    answer = ask(world)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    bound = ask(world, prover.proof(world, "/oauth2/token", method="POST"))
    assert bound.json()["token_type"] == "DPoP"


@pytest.mark.parametrize("alg", ["PS256", "EdDSA"])
def test_other_keys_prove_as_well(world: World, prover: Prover, alg: str) -> None:
    key: Any = ed25519.Ed25519PrivateKey.generate()
    algorithm: Any = jwt.algorithms.OKPAlgorithm
    if alg == "PS256":
        key, algorithm = rsa.generate_private_key(65537, 3072), jwt.algorithms.RSAAlgorithm
    claims = {"jti": "1", "htm": "POST", "htu": "http://hub.test/oauth2/token"}
    claims |= {"iat": int(world.now[0].timestamp())}
    jwk = json.loads(algorithm.to_jwk(key.public_key()))
    proof = jwt.encode(claims, key, alg, headers={"typ": "dpop+jwt", "jwk": jwk})
    assert ask(world, proof).json()["token_type"] == "DPoP"


def test_a_weak_key_proves_nothing(world: World) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    claims = {"jti": "1", "htm": "POST", "htu": "http://hub.test/oauth2/token"}
    claims |= {"iat": int(world.now[0].timestamp())}
    proof = jwt.encode(claims, key, "ES384", headers={"typ": "dpop+jwt", "jwk": jwk})
    assert ask(world, proof).json()["error"] == "invalid_dpop_proof"
