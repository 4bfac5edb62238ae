"""Signed client assertions (``private_key_jwt``): is this the client it says it is?

PyJWT checks signature, algorithm and times; all it lets through that must not pass is
checked here: replay, subject other than issuer, audience lists, far expiry, wrong types,
duplicate members, keys and addresses brought along in the header.

Standards: RFC 7521, RFC 7523, RFC 8725; FAPI 2.0 (algorithms, single audience).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.utils import base64url_decode

from connectors.ledger import Client, Ledger

ALGORITHMS = ("ES256", "PS256", "EdDSA")

MAX_ASSERTION_CHARACTERS = 8_192
MAX_JTI_CHARACTERS = 255
MAX_LIFETIME = timedelta(seconds=3600)
"""Stock Authlib signs for an hour; its clock may be ahead of ours by the tolerance below."""

CLOCK_TOLERANCE = timedelta(seconds=30)

REPLAY_MARGIN = timedelta(seconds=60)
"""How long after its expiry an assertion's ``jti`` is remembered."""

HEADER_MEMBERS = frozenset({"alg", "typ", "kid"})
"""Others name keys or addresses (``jwk``, ``jku``, ``x5u``) or change how to read (``crit``)."""


@dataclass(frozen=True, slots=True)
class Disbelieved:
    """Why an assertion was not believed: for the log, never for the sender."""

    reason: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What was asserted, types checked, signature not yet."""

    header: Mapping[str, Any]
    subject: str
    jti: str
    expires: datetime


def subject_of(assertion: str) -> str | None:
    """Return whom an assertion claims to be, unverified; ``None`` when it cannot be read."""
    parts = _parts(assertion)
    subject = parts[1].get("sub") if parts else None
    return subject if isinstance(subject, str) else None


def verify(
    assertion: str, client: Client, ledger: Ledger, *, audiences: tuple[str, ...], at: datetime
) -> Disbelieved | None:
    """Check an assertion of ``client`` and use it up; ``None`` when it is to be believed.

    Args:
        assertion: compact JWS.
        client: the client it claims to be.
        ledger: remembers which assertions were used, for all workers.
        audiences: our names; the assertion is for exactly one of them.
        at: now.
    """
    claims = _claims(assertion, client, audiences, at)
    if isinstance(claims, Disbelieved):
        return claims
    if not _signed(assertion, claims.header, client, at):
        return Disbelieved("signature")
    # After the signature: strangers must not be able to use up a client's identifiers.
    fresh = ledger.tokens.use_assertion(client.clientId, claims.jti, claims.expires + REPLAY_MARGIN)
    return None if fresh else Disbelieved("replay")


def _claims(
    assertion: str, client: Client, audiences: tuple[str, ...], at: datetime
) -> Claims | Disbelieved:
    parts = _parts(assertion)
    if parts is None:
        return Disbelieved("unreadable")
    header, claims = parts
    if not header.keys() <= HEADER_MEMBERS or header.get("alg") not in ALGORITHMS:
        return Disbelieved("header")
    if not (claims.get("iss") == claims.get("sub") == client.clientId):
        return Disbelieved("issuer or subject")
    # A string, not a list: an assertion for two servers can be replayed by either.
    if not isinstance(audience := claims.get("aud"), str) or audience not in audiences:
        return Disbelieved("audience")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_CHARACTERS:
        return Disbelieved("jti")
    times = {name: _instant(claims.get(name)) for name in ("exp", "iat", "nbf")}
    if any(times[name] is None and name in claims for name in times):
        return Disbelieved("type of a time")
    if (expires := times["exp"]) is None:
        return Disbelieved("no expiry")
    if not at < expires <= at + MAX_LIFETIME + CLOCK_TOLERANCE:
        return Disbelieved("expiry")
    if any(times[name] and times[name] > at + CLOCK_TOLERANCE for name in ("iat", "nbf")):  # type: ignore[operator]
        return Disbelieved("from the future")
    return Claims(header, client.clientId, jti, expires)


def _signed(assertion: str, header: Mapping[str, Any], client: Client, at: datetime) -> bool:
    """Tell whether one of the client's live keys signed it; a ``kid`` names exactly one."""
    for key in client.live_keys(at):
        if header.get("kid", key.kid) != key.kid or header["alg"] != key.jwk["alg"]:
            continue
        try:
            # Times and names were checked above, with our own limits.
            jwt.decode(
                assertion,
                jwt.PyJWK(dict(key.jwk)),
                algorithms=[key.jwk["alg"]],
                options={
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.InvalidTokenError:
            continue
        return True
    return False


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return header and claims; ``None`` unless both are JSON objects without duplicates."""
    segments = assertion.split(".")
    if len(assertion) > MAX_ASSERTION_CHARACTERS or len(segments) != 3:
        return None
    try:
        header, claims = (
            json.loads(base64url_decode(segment), object_pairs_hook=_unique, parse_constant=_never)
            for segment in segments[:2]
        )
    except (ValueError, RecursionError):
        return None
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _never(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _instant(value: object) -> datetime | None:
    """Return a NumericDate as an instant; ``None`` for what is not a plausible number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None
