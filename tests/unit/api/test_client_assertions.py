"""Client assertions: one way to be believed, and every known way to cheat."""

import dataclasses
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from api import client_assertions
from api.client_assertions import Audiences, spend_as_long, subject_of, verify
from api.jws import Disbelieved
from connectors.ledger import Client, ClientKey, Ledger
from connectors.ledger.public_keys import read_public_key
from ipregister.roles import Role

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ISSUER, TOKEN = "https://hub.example", "https://hub.example/oauth2/token"
ME = "tp-1"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Claims = dict[str, Any]


class OneTime:
    """The ledger's part an assertion needs."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, str], datetime] = {}

    def use_assertion(self, client_id: str, jti: str, expires_at: datetime) -> bool:
        if (client_id, jti) in self.used:
            return False
        self.used[client_id, jti] = expires_at
        return True


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "PS256": rsa.generate_private_key(65537, 3072),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "other": ec.generate_private_key(ec.SECP256R1()),
        "old": ec.generate_private_key(ec.SECP256R1()),
    }


@pytest.fixture
def client(keys: dict[str, Any]) -> Client:
    def registered(name: str, expires: datetime | None = None) -> ClientKey:
        jwk = read_public_key(pem(keys[name]).decode()) | {"kid": name}
        return ClientKey(name, jwk, NOW, expires)

    live = [registered(name) for name in ("ES256", "PS256", "EdDSA")]
    known = (*live, registered("old", NOW))
    return Client(ME, "me", "Acme", None, Role.THIRD_PARTY, known, False, NOW, "test", None)


@pytest.fixture
def ledger() -> Ledger:
    return cast(Ledger, SimpleNamespace(tokens=OneTime()))


def pem(key: Any) -> bytes:
    public = key.public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(public.public_bytes(serialization.Encoding.PEM, spki))


def claims(**changed: Any) -> Claims:
    at = int(NOW.timestamp())
    plain = {"iss": ME, "sub": ME, "aud": ISSUER, "exp": at + 60, "iat": at, "jti": "j1"}
    return {name: value for name, value in (plain | changed).items() if value is not None}


def sign(keys: dict[str, Any], body: Claims, alg: str = "ES256", **header: Any) -> str:
    return jwt.encode(body, keys[alg], algorithm=alg, headers=header or None)


def check(assertion: str, client: Client, ledger: Ledger) -> str | None:
    assert len(assertion) < 1_000_000
    doubt = verify(assertion, client, ledger, audiences=Audiences(ISSUER, TOKEN), at=NOW)
    return doubt.reason if isinstance(doubt, Disbelieved) else None


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
@pytest.mark.parametrize("kid", [True, False])
@pytest.mark.parametrize("audience", [ISSUER, TOKEN])
def test_a_client_is_believed(
    keys: dict[str, Any], client: Client, ledger: Ledger, alg: str, kid: bool, audience: str
) -> None:
    header = {"kid": alg} if kid else {}
    assertion = sign(keys, claims(aud=audience), alg, **header)
    assert subject_of(assertion) == ME
    assert check(assertion, client, ledger) is None


AT = int(NOW.timestamp())
GOOD: dict[str, Claims] = {
    "an hour, as Authlib signs": claims(exp=AT + 3600),
    "its clock is 8 s ahead": claims(iat=AT + 8, nbf=AT + 8),
    "no iat": claims(iat=None),
    "issued an hour ago for an hour, nearly": claims(iat=AT - 3_590, exp=AT + 10),
    "not before 1970": claims(nbf=0),
    "a fraction of a second": claims(exp=AT + 9.5),
    "longest jti": claims(jti="j" * 255),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_real_clients_send_is_believed(
    keys: dict[str, Any], client: Client, ledger: Ledger, name: str
) -> None:
    assert check(sign(keys, GOOD[name]), client, ledger) is None


BAD: dict[str, tuple[Claims, str]] = {
    "no issuer": (claims(iss=None), "issuer or subject"),
    "another issuer": (claims(iss="tp-2"), "issuer or subject"),
    "no subject": (claims(sub=None), "issuer or subject"),
    "another subject": (claims(sub="tp-2"), "issuer or subject"),
    "another client altogether": (claims(iss="tp-2", sub="tp-2"), "issuer or subject"),
    "no audience": (claims(aud=None), "audience"),
    "another audience": (claims(aud="https://other.example"), "audience"),
    "audience with a slash more": (claims(aud=ISSUER + "/"), "audience"),
    "audience as a list of one": (claims(aud=[ISSUER]), "audience"),
    "audience for two servers": (claims(aud=[ISSUER, "https://other.example"]), "audience"),
    "no expiry": (claims(exp=None), "no expiry"),
    "expired just now": (claims(exp=AT), "expiry"),
    "expired 5 minutes ago": (claims(exp=AT - 300), "expiry"),
    "more than an hour": (claims(exp=AT + 3631), "expiry"),
    "ten years": (claims(exp=AT + 315_360_000), "expiry"),
    "expiry beyond all calendars": (claims(exp=10**18), "type of a time"),
    "expiry as text": (claims(exp=str(AT + 60)), "type of a time"),
    "expiry as truth": (claims(exp=True), "type of a time"),
    "issued in the future": (claims(iat=AT + 61), "from the future"),
    "issued longer ago than any may live": (claims(iat=AT - 3_700), "issued too long ago"),
    "issued in 1970": (claims(iat=1_000), "issued too long ago"),
    "not before a minute": (claims(nbf=AT + 61), "from the future"),
    "nbf as text": (claims(nbf="soon"), "type of a time"),
    "no jti": (claims(jti=None), "jti"),
    "empty jti": (claims(jti=""), "jti"),
    "jti of 1 MB": (claims(jti="j" * 1_000), "jti"),
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_claims_are_not_believed(
    keys: dict[str, Any], client: Client, ledger: Ledger, name: str
) -> None:
    body, reason = BAD[name]
    assert check(sign(keys, body), client, ledger) == reason


def test_jti_that_is_no_text_is_not_believed(
    keys: dict[str, Any], client: Client, ledger: Ledger
) -> None:
    body = json.dumps(claims() | {"jti": 7}).encode()
    assertion = jwt.api_jws.encode(body, keys["ES256"], algorithm="ES256")
    assert check(assertion, client, ledger) == "jti"


def unsigned(header: str, body: str) -> str:
    parts = [urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (header, body)]
    return ".".join([*parts, ""])


def malleated(keys: dict[str, Any], assertion: str | None = None) -> str:
    """The same signature in its other form: valid for ECDSA, another text."""
    head, body, signature = (assertion or sign(keys, claims())).split(".")
    raw = urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    flipped = r.to_bytes(32, "big") + (P256_ORDER - s).to_bytes(32, "big")
    assert decode_dss_signature(encode_dss_signature(r, P256_ORDER - s))[0] == r
    return f"{head}.{body}.{urlsafe_b64encode(flipped).rstrip(b'=').decode()}"


def with_zero_signature(keys: dict[str, Any]) -> str:
    head, body, _ = sign(keys, claims()).split(".")
    return f"{head}.{body}.{urlsafe_b64encode(bytes(64)).rstrip(b'=').decode()}"


def raw_hs256(keys: dict[str, Any]) -> str:
    """Signed with the public key as if it were a shared secret."""
    import hmac

    header = json.dumps({"alg": "HS256", "typ": "JWT"})
    signing = unsigned(header, json.dumps(claims())).rsplit(".", 1)[0]
    mac = hmac.digest(pem(keys["ES256"]), signing.encode(), hashes.SHA256.name)
    return f"{signing}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def own_jwk(keys: dict[str, Any]) -> str:
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(keys["other"].public_key()))
    return sign(keys | {"ES256": keys["other"]}, claims(), jwk=jwk)


def twice(member: str) -> Callable[[dict[str, Any]], str]:
    def make(keys: dict[str, Any]) -> str:
        text = json.dumps(claims())
        body = text[:-1] + f', "{member}": {json.dumps(claims()[member])}}}'
        return str(jwt.api_jws.encode(body.encode(), keys["ES256"], algorithm="ES256"))

    return make


FORGED: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "no algorithm": (lambda k: unsigned('{"alg":"none"}', json.dumps(claims())), "header"),
    "no header": (lambda k: unsigned("{}", json.dumps(claims())), "header"),
    "public key as secret": (raw_hs256, "header"),
    "an algorithm we do not take": (
        lambda k: jwt.encode(claims(), k["PS256"], algorithm="RS256"),
        "header",
    ),
    "another algorithm than the key's": (
        lambda k: sign(k, claims(), "PS256", kid="ES256"),
        "signature",
    ),
    "a stranger's key": (lambda k: sign(k | {"ES256": k["other"]}, claims()), "signature"),
    "a stranger's key under our kid": (
        lambda k: sign(k | {"ES256": k["other"]}, claims(), kid="ES256"),
        "signature",
    ),
    "a key brought along": (own_jwk, "header"),
    "an address of keys": (lambda k: sign(k, claims(), jku="https://evil.example"), "header"),
    "an unknown critical extension": (lambda k: sign(k, claims(), crit=["x"], x=1), "header"),
    "a path as kid": (lambda k: sign(k, claims(), kid="../../dev/null"), "signature"),
    "SQL as kid": (lambda k: sign(k, claims(), kid="' OR 1=1 --"), "signature"),
    "a retired key": (lambda k: sign(k | {"ES256": k["old"]}, claims(), kid="old"), "signature"),
    "zeros as signature": (with_zero_signature, "signature"),
    "a cut signature": (lambda k: sign(k, claims())[:-5], "signature"),
    "a repeated subject": (twice("sub"), "unreadable"),
    "a repeated audience": (twice("aud"), "unreadable"),
    "NaN as time": (
        lambda k: unsigned('{"alg":"ES256"}', json.dumps(claims(exp=float("nan")))),
        "unreadable",
    ),
    "a list as claims": (lambda k: unsigned('{"alg":"ES256"}', "[]"), "unreadable"),
    "five parts": (lambda k: sign(k, claims()) + ".a.b", "unreadable"),
    "no parts": (lambda k: "x", "unreadable"),
    "not Base64": (lambda k: "%.%.%", "unreadable"),
    "nested without end": (lambda k: unsigned('{"alg":"ES256"}', "[" * 4_000), "unreadable"),
    "endless": (lambda k: sign(k, claims(padding="x" * 9_000)), "unreadable"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forgeries_are_not_believed(
    keys: dict[str, Any], client: Client, ledger: Ledger, name: str
) -> None:
    forge, reason = FORGED[name]
    assert check(forge(keys), client, ledger) == reason
    assert cast(OneTime, ledger.tokens).used == {}, "strangers must not use up identifiers"


def test_an_assertion_is_believed_once(
    keys: dict[str, Any], client: Client, ledger: Ledger
) -> None:
    assertion = sign(keys, claims())
    assert check(assertion, client, ledger) is None
    assert check(assertion, client, ledger) == "replay"
    assert check(malleated(keys), client, ledger) == "replay"
    assert check(sign(keys, claims(exp=AT + 90)), client, ledger) == "replay"
    assert check(sign(keys, claims(jti="j2")), client, ledger) is None


def test_an_identifier_is_remembered_longer_than_the_assertion_lives(
    keys: dict[str, Any], client: Client, ledger: Ledger
) -> None:
    check(sign(keys, claims()), client, ledger)
    assert cast(OneTime, ledger.tokens).used[ME, "j1"] == NOW + timedelta(seconds=120)


@pytest.fixture
def das(client: Client) -> Client:
    return dataclasses.replace(client, dasCompat=True)


DAS_GOOD: dict[str, Claims] = {
    "as WIPO documents it": claims(aud=TOKEN, exp=AT + 10, iat=None, jti=None),
    "as WIPO's sample signs": claims(aud=TOKEN, exp=AT + 1_000, iat=None, jti=None),
    "the longest": claims(aud=TOKEN, exp=AT + 1_200, iat=None, jti=None),
    "our audience as a list": claims(aud=[TOKEN]),
    "with a jti": claims(),
}
DAS_BAD: dict[str, tuple[Claims, str]] = {
    "longer than WIPO's sample": (claims(exp=AT + 1_231), "expiry"),
    "an audience of two servers": (claims(aud=[TOKEN, "https://other.example"]), "audience"),
    "an empty list of audiences": (claims(aud=[]), "audience"),
    "a jti that is no text": (claims(jti=""), "jti"),
}


@pytest.mark.parametrize("name", DAS_GOOD)
def test_a_client_of_das_is_believed_as_das_documents_it_once(
    keys: dict[str, Any], das: Client, ledger: Ledger, name: str
) -> None:
    assertion = sign(keys, DAS_GOOD[name])
    assert check(assertion, das, ledger) is None
    assert check(assertion, das, ledger) == "replay"


@pytest.mark.parametrize("name", DAS_BAD)
def test_das_widens_nothing_else(
    keys: dict[str, Any], das: Client, ledger: Ledger, name: str
) -> None:
    body, reason = DAS_BAD[name]
    assert check(sign(keys, body), das, ledger) == reason


def test_without_a_jti_the_other_form_of_the_signature_is_a_replay_too(
    keys: dict[str, Any], das: Client, ledger: Ledger
) -> None:
    first = sign(keys, claims(jti=None))
    assert check(first, das, ledger) is None
    assert check(malleated(keys, first), das, ledger) == "replay"


@pytest.mark.parametrize(("audience", "reason"), [(ISSUER, None), (TOKEN, "audience")])
def test_a_strict_client_names_the_issuer(
    keys: dict[str, Any], client: Client, ledger: Ledger, audience: str, reason: str | None
) -> None:
    strict = dataclasses.replace(client, strictAudience=True)
    assert check(sign(keys, claims(aud=audience)), strict, ledger) == reason


@pytest.mark.parametrize(
    "assertion",
    [
        lambda keys: sign(keys | {"ES256": keys["other"]}, claims()),
        lambda keys: sign(keys, claims(aud="https://else.example")),
        lambda keys: sign(keys, claims(), kid="no such key"),
    ],
    ids=["another key", "another audience", "another kid"],
)
def test_every_refusal_takes_one_verification(
    keys: dict[str, Any], client: Client, monkeypatch: pytest.MonkeyPatch, assertion: Any
) -> None:
    """Of known and unknown clients alike: time must not tell who exists."""
    made, verified = assertion(keys), list[str]()
    audiences = Audiences(ISSUER, TOKEN)
    monkeypatch.setattr(client_assertions, "is_signed", lambda text, *_: verified.append(text))
    only = dataclasses.replace(client, keys=client.keys[:1])
    assert isinstance(client_assertions.check(made, only, audiences=audiences, at=NOW), Disbelieved)
    spend_as_long(made, ME, audiences=audiences, at=NOW)
    assert verified == [made, made]
