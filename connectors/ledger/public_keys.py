"""Public keys that clients register: PEM or JWK in, one clean JWK out.

Accepted are EC P-256, RSA of at least 3072 bits and Ed25519; each has one algorithm. A
private key is refused with a sentence for the person who sent it. Keys are never fetched
from an address.

Standards: RFC 7517 (JWK), RFC 7638 (thumbprint as ``kid``), RFC 8037 (Ed25519).
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from cryptography.x509 import load_pem_x509_certificate

from ipregister.errors import InvalidRequest

MIN_RSA_BITS = 3072
"""128 bits of security (NIST SP 800-57)."""

MAX_RSA_BITS = 8192
"""Verification time grows with the square: a larger key is a way to keep us busy."""

MIN_RSA_EXPONENT = 65_537
"""FIPS 186-5; smaller exponents have a history of attacks."""

MAX_CHARACTERS = 20_000
"""An RSA key of 16,384 bits needs 2,800 characters; a certificate somewhat more."""

_ACCEPTED = "Accepted are EC P-256, Ed25519, and RSA of at least 3072 bits."

_PRIVATE = (
    "This is a private key. Keep it to yourself: it never leaves your system. Since it has been "
    "copied here, make a new pair and send the public half (openssl pkey -in FILE -pubout)."
)

_KID = re.compile(r"[\x21-\x7e]{1,200}")

Jwk = dict[str, str]


def read_public_key(source: str | Mapping[str, Any]) -> Jwk:
    """Return a registered key as a JWK with ``kid``, ``alg`` and ``use``, and nothing else.

    Args:
        source: PEM (public key or certificate), JWK as text or mapping, or a set of one JWK.

    Raises:
        InvalidRequest: not a key, a private or secret one, a weak one, or another kind; the
            message is for the person who sent it.
    """
    jwk = _jwk(source) if isinstance(source, Mapping) else _parse(source)
    if isinstance(jwk, str):
        return _describe(_from_pem(jwk), {})
    if "d" in jwk:
        raise InvalidRequest(_PRIVATE)
    if jwk.get("kty") == "oct":
        raise InvalidRequest(f"This is a shared secret, not a public key. {_ACCEPTED}")
    return _describe(_from_jwk(jwk), jwk)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the RFC 7638 thumbprint of a public JWK."""
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
    required = {name: jwk[name] for name in members[jwk["kty"]]}
    text = json.dumps(required, sort_keys=True, separators=(",", ":"))
    return _encode(sha256(text.encode()).digest())


def _parse(text: str) -> str | Mapping[str, Any]:
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest("This is too long for a public key.")
    if "-----BEGIN" in text:
        return text
    try:
        return _jwk(json.loads(text))
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest(f"This is neither PEM nor a JWK (JSON). {_ACCEPTED}") from exc


def _jwk(document: Any) -> Mapping[str, Any]:
    if isinstance(document, Mapping) and isinstance(document.get("keys"), list):
        if len(document["keys"]) != 1:
            raise InvalidRequest("Send one key at a time: this set does not hold exactly one.")
        document = document["keys"][0]
    if not isinstance(document, Mapping):
        raise InvalidRequest(f"This is JSON but no JWK. {_ACCEPTED}")
    return document


def _from_pem(text: str) -> Any:
    if "PRIVATE KEY" in text:
        raise InvalidRequest(_PRIVATE)
    try:
        if "BEGIN CERTIFICATE" in text:
            return load_pem_x509_certificate(text.encode()).public_key()
        return load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise InvalidRequest(
            f"This PEM text does not hold a public key we know. {_ACCEPTED}"
        ) from exc


def _from_jwk(jwk: Mapping[str, Any]) -> Any:
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", "P-256":
                x, y = _number(jwk["x"]), _number(jwk["y"])
                return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            case "RSA", _:
                return rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
            case "OKP", "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise InvalidRequest(f"The members of this JWK do not make a key. {_ACCEPTED}") from exc
    raise InvalidRequest(f"This kind of key is not accepted. {_ACCEPTED}")


def _describe(key: Any, given: Mapping[str, Any]) -> Jwk:
    """Write the key anew, so that nothing the sender added is kept."""
    jwk: Jwk
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        point = key.public_numbers()
        x, y = (_encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256"}
    elif isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": _encode(raw), "alg": "EdDSA"}
    elif isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        if key.key_size < MIN_RSA_BITS or numbers.e < MIN_RSA_EXPONENT:
            raise InvalidRequest(f"This RSA key of {key.key_size} bits is too weak. {_ACCEPTED}")
        if key.key_size > MAX_RSA_BITS:
            raise InvalidRequest(f"RSA keys of more than {MAX_RSA_BITS} bits are not accepted.")
        n, e = (_encode(_bytes(number)) for number in (numbers.n, numbers.e))
        jwk = {"kty": "RSA", "n": n, "e": e, "alg": "PS256"}
    else:
        raise InvalidRequest(f"This kind of key is not accepted. {_ACCEPTED}")
    if given.get("use", "sig") != "sig":
        raise InvalidRequest("This key is for encryption; a key for signatures is needed.")
    names = (jwk["alg"], *(("Ed25519",) if jwk["alg"] == "EdDSA" else ()))  # RFC 9864's name
    if given.get("alg", jwk["alg"]) not in names:
        raise InvalidRequest(
            f"Sign with {jwk['alg']}: {given['alg']} is not accepted for this key."
        )
    kid = given.get("kid") or thumbprint(jwk)
    if not (isinstance(kid, str) and _KID.fullmatch(kid)):
        raise InvalidRequest("The kid of this key is not up to 200 printable ASCII characters.")
    return jwk | {"use": "sig", "kid": kid}


def _number(text: str) -> int:
    return int.from_bytes(_decode(text), "big")


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
