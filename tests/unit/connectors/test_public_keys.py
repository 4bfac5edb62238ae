"""Public keys at registration: what is accepted, how it is kept, what is refused and why."""

import base64
import json
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from connectors.ledger.public_keys import read_public_key, thumbprint
from ipregister.errors import InvalidRequest

# The example of RFC 7638 §3.1, and its thumbprint; with 2048 bits too weak to register.
RFC_7638 = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJEC"
        "PebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvz"
        "qY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6We"
        "Zu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


@cache
def keys() -> dict[str, Any]:
    return {
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        "PS256": rsa.generate_private_key(65_537, 3072),
    }


def pem(key: Any) -> str:
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def private_pem(key: Any, format: PrivateFormat) -> str:
    private: bytes = key.private_bytes(Encoding.PEM, format, NoEncryption())
    return private.decode()


def jwk(key: Any) -> dict[str, Any]:
    """Return a JWK as another library writes it."""
    for algorithm in (ECAlgorithm, RSAAlgorithm, OKPAlgorithm):
        try:
            return dict(algorithm.to_jwk(key, as_dict=True))
        except Exception:
            continue
    raise AssertionError("no JWK")


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
def test_every_form_of_a_key_is_the_same_key(algorithm: str) -> None:
    key = keys()[algorithm]
    public = jwk(key.public_key())
    forms: list[Any] = [pem(key), public, json.dumps(public), {"keys": [public]}]
    forms.append(json.dumps({"keys": [public]}))
    first, *others = (read_public_key(form) for form in forms)
    assert all(other == first for other in others)
    assert (first["alg"], first["use"], first["kid"]) == (algorithm, "sig", thumbprint(first))
    assert (
        PyJWK(first).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        == pem(key).encode()
    )


def test_the_thumbprint_is_that_of_the_standard() -> None:
    assert thumbprint(RFC_7638) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_nothing_the_sender_added_is_kept() -> None:
    sent = jwk(keys()["ES256"].public_key())
    sent |= {
        "kid": "mine-1",
        "use": "sig",
        "alg": "ES256",
        "x5u": "http://127.0.0.1",
        "note": "<b>",
    }
    kept = read_public_key(sent)
    assert sorted(kept) == ["alg", "crv", "kid", "kty", "use", "x", "y"]
    assert kept["kid"] == "mine-1"


def test_ed25519_may_be_called_by_its_newer_name() -> None:
    sent = jwk(keys()["EdDSA"].public_key()) | {"alg": "Ed25519"}
    assert read_public_key(sent)["alg"] == "EdDSA"


PRIVATE = [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]


@pytest.mark.parametrize("format", PRIVATE)
@pytest.mark.parametrize("algorithm", ["ES256", "PS256"])
def test_a_private_pem_is_refused(algorithm: str, format: PrivateFormat) -> None:
    with pytest.raises(InvalidRequest, match=r"private key\. Keep it to yourself"):
        read_public_key(private_pem(keys()[algorithm], format))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
@pytest.mark.parametrize("written", [dict, json.dumps])
def test_a_private_jwk_is_refused(algorithm: str, written: Any) -> None:
    private = jwk(keys()[algorithm])
    assert "d" in private
    with pytest.raises(InvalidRequest, match="private key") as refused:
        read_public_key(written(private))
    assert private["d"] not in str(refused.value)


def weak() -> dict[str, Any]:
    return {
        "RSA 1024": pem(rsa.generate_private_key(65_537, 1024)),
        "RSA 2048": pem(rsa.generate_private_key(65_537, 2048)),
        "RSA 2048 as JWK": {name: RFC_7638[name] for name in ("kty", "n", "e")},
        "small exponent": pem(rsa.generate_private_key(3, 3072)),
    }


@pytest.mark.parametrize("name", ["RSA 1024", "RSA 2048", "RSA 2048 as JWK", "small exponent"])
def test_a_weak_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"too weak\. Accepted are EC P-256"):
        read_public_key(weak()[name])


def test_a_giant_key_is_refused() -> None:
    modulus = base64.urlsafe_b64encode(b"\xff" * 1100).decode()
    with pytest.raises(InvalidRequest, match="more than 8192 bits"):
        read_public_key({"kty": "RSA", "n": modulus, "e": "AQAB"})


@pytest.mark.parametrize("curve", [ec.SECP192R1(), ec.SECP224R1(), ec.SECP384R1(), ec.SECP256K1()])
def test_other_curves_are_refused(curve: ec.EllipticCurve) -> None:
    with pytest.raises(InvalidRequest, match="not accepted"):
        read_public_key(pem(ec.generate_private_key(curve)))


def test_other_kinds_are_refused() -> None:
    for key in (ed448.Ed448PrivateKey.generate(), dsa.generate_private_key(2048)):
        with pytest.raises(InvalidRequest, match="not accepted"):
            read_public_key(pem(key))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kty": "oct", "k": "c2VjcmV0"}, "shared secret"),
        ({"crv": "P-384"}, "not accepted"),
        ({"kty": "DSA"}, "not accepted"),
        ({"kty": None}, "not accepted"),
        ({"x": "AAAA"}, "do not make a key"),
        ({"x": None}, "do not make a key"),
        ({"y": 5}, "do not make a key"),
        ({"use": "enc"}, "for encryption"),
        ({"alg": "RS256"}, "Sign with ES256: RS256 is not accepted"),
        ({"alg": "none"}, "Sign with ES256"),
        ({"alg": "HS256"}, "Sign with ES256"),
        ({"kid": "a b"}, "kid"),
        ({"kid": "a" * 201}, "kid"),
        ({"kid": 5}, "kid"),
    ],
)
def test_a_jwk_that_is_wrong_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        read_public_key(jwk(keys()["ES256"].public_key()) | change)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "neither PEM nor a JWK"),
        ("ssh-ed25519 AAAA", "neither PEM nor a JWK"),
        ("[" * 19_000, "neither PEM nor a JWK"),
        ("[]", "no JWK"),
        ('"x"', "no JWK"),
        ('{"keys": []}', "exactly one"),
        ('{"keys": [{}, {}]}', "exactly one"),
        ('{"keys": [1]}', "no JWK"),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
            "does not hold a public key",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "does not hold a public key",
        ),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA", "private key"),
        ("x" * 20_001, "too long"),
    ],
)
def test_what_is_no_key_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        read_public_key(text)
