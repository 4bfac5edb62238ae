"""Signed JSON (compact JWS) from outside: read strictly, verified under one given key.

PyJWT checks the signature; what it lets through that must not pass (duplicate members,
constants that are no JSON, times as text) is refused here. What the claims have to say is
the business of ``client_assertions`` and ``dpop``.

Standards: RFC 7515, RFC 7519, RFC 8725 (best practice).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.utils import base64url_decode

ALGORITHMS = ("ES256", "PS256", "EdDSA")
"""FAPI 2.0: no RS256, no shared secrets, never ``none``."""

MAX_CHARACTERS = 8_192

MAX_JTI_CHARACTERS = 255

_UNCHECKED: Any = {
    f"verify_{name}": False for name in ("aud", "exp", "iat", "nbf", "sub", "jti", "iss")
}
"""Names and times are checked by the callers, with our own limits."""


@dataclass(frozen=True, slots=True)
class Disbelieved:
    """Why something signed was not believed: for the log, never for the sender."""

    reason: str


def read(text: str, *, most: int = MAX_CHARACTERS) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return header and claims; ``None`` unless both are JSON objects without duplicates.

    Nor is there anything in a text of more than ``most`` characters.
    """
    segments = text.split(".")
    if len(text) > most or len(segments) != 3:
        return None
    header, claims = read_segment(segments[0]), read_segment(segments[1])
    return None if header is None or claims is None else (header, claims)


def read_segment(segment: str) -> dict[str, Any] | None:
    """Return the JSON object of one segment, or ``None``."""
    try:
        document = json.loads(
            base64url_decode(segment), object_pairs_hook=_unique, parse_constant=_never
        )
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_signed(text: str, jwk: jwt.PyJWK | Mapping[str, Any], algorithm: str) -> bool:
    """Tell whether this key made the signature, with this algorithm."""
    key = jwk if isinstance(jwk, jwt.PyJWK) else jwt.PyJWK(dict(jwk))
    try:
        jwt.decode(text, key, algorithms=[algorithm], options=_UNCHECKED)
    except jwt.InvalidTokenError:
        return False
    return True


def instant(value: object) -> datetime | None:
    """Return a NumericDate as an instant; ``None`` for what is not a plausible number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def identifier(value: object) -> str | None:
    """Return a ``jti`` that can be remembered, or ``None``."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_JTI_CHARACTERS else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _never(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
