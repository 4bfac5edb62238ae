"""Proofs of possession (DPoP): does who sends a token hold the key it was given to?

A proof is a small signed document per request: which method, which address, when, and at the
API for which token. It is used once, on whatever worker. There are no server nonces: a proof
is good for a minute at most, and its identifier is remembered longer than that.

Standard: RFC 9449.
"""

from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlsplit

import jwt
from starlette.requests import Request

from api.jws import (
    ALGORITHMS,
    MAX_CHARACTERS,
    Disbelieved,
    identifier,
    instant,
    is_signed,
    read_segment,
)
from api.service import Service
from connectors.ledger.public_keys import read_public_key, thumbprint
from ipregister.errors import InvalidRequest

WINDOW = timedelta(seconds=60)
"""How far a proof's ``iat`` may lie behind or ahead of our clock."""

REMEMBER = timedelta(minutes=5)
"""Beyond the window: covers a clock that is set back."""

HEADER_MEMBERS = frozenset({"typ", "alg", "jwk"})
PUBLIC_MEMBERS = frozenset(
    {"kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops", "ext"}
)
"""Members of a public JWK; what else there is may be the private half."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def sent_proofs(request: Request) -> list[str]:
    """Return the ``DPoP`` headers of a request; there may be one."""
    return request.headers.getlist("dpop")


def check_proof(
    request: Request, service: Service, *, at: datetime, token: bytes | None = None
) -> str | Disbelieved:
    """Return the thumbprint of the key that signed the request's proof, and use the proof up.

    Args:
        request: with one ``DPoP`` header.
        service: knows our public address and the proofs already used.
        at: now.
        token: the access token the proof goes with; none at the token endpoint.
    """
    proofs = sent_proofs(request)
    if len(proofs) != 1:
        return Disbelieved("not exactly one proof")
    proof = proofs[0]
    if len(proof) > MAX_CHARACTERS or proof.count(".") != 2:
        return Disbelieved("unreadable")
    head, body, _ = proof.split(".")
    key, claims = _key(head), read_segment(body)
    if isinstance(key, Disbelieved):
        return key
    if claims is None:
        return Disbelieved("unreadable")
    jwk, algorithm, jkt = key
    if (wrong := _wrong_claim(claims, request, service, at, token)) is not None:
        return Disbelieved(wrong)
    if not is_signed(proof, jwk, algorithm):
        return Disbelieved("signature")
    until = at + 2 * WINDOW + REMEMBER
    # After the signature: strangers must not be able to use up a client's identifiers.
    fresh = service.ledger.proofs.use(f"{jkt} {claims['jti']}", until=until, at=at)
    return jkt if fresh else Disbelieved("replay")


def _wrong_claim(
    claims: dict[str, Any],
    request: Request,
    service: Service,
    at: datetime,
    token: bytes | None,
) -> str | None:
    if identifier(claims.get("jti")) is None:
        return "jti"
    # A HEAD request is answered like GET, but was signed as HEAD.
    if claims.get("htm") != request.scope.get("sentMethod", request.scope["method"]):
        return "htm"
    if not _same_address(claims.get("htu"), service.public_url + _path(request)):
        return "htu"
    issued = instant(claims.get("iat"))
    if issued is None or abs(issued - at) > WINDOW:
        return "iat"
    if token is not None:
        expected = urlsafe_b64encode(sha256(token).digest()).rstrip(b"=").decode()
        if claims.get("ath") != expected:  # no secret: who sends it sends the token, too
            return "ath"
    return None


@lru_cache(maxsize=1024)
def _key(head: str) -> tuple[jwt.PyJWK, str, str] | Disbelieved:
    """Return the key a header brings along, its algorithm and its thumbprint.

    Remembered: a client's proofs all have the same header, and reading a key takes as long
    as verifying with it.
    """
    header = read_segment(head)
    if header is None or header.keys() != HEADER_MEMBERS:
        return Disbelieved("header")
    if header["typ"] != "dpop+jwt" or header["alg"] not in ALGORITHMS:
        return Disbelieved("header")
    given = header["jwk"]
    if not isinstance(given, dict) or not given.keys() <= PUBLIC_MEMBERS:
        return Disbelieved("jwk")
    try:
        jwk = read_public_key({**given, "kid": "proof"})
    except InvalidRequest:
        return Disbelieved("jwk")
    if jwk["alg"] != header["alg"]:
        return Disbelieved("jwk")
    return jwt.PyJWK(dict(jwk)), jwk["alg"], thumbprint(jwk)


def _same_address(given: object, ours: str) -> bool:
    """Compare addresses without query and fragment, spelling of escapes aside (RFC 3986)."""
    if not isinstance(given, str) or len(given) > MAX_CHARACTERS:
        return False
    try:
        return _plain(given) == _plain(ours)
    except ValueError:
        return False


def _path(request: Request) -> str:
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "backslashreplace")


def _plain(address: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(address)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port, unquote(parts.path) or "/"
