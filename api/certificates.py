"""A signed statement of what an office shares with a third party, verified without the hub.

It says which version of which authorization was in force when it was issued, what is shared,
each element that is withheld, and where in the audit chain the decision stands, so that it can
be found and cannot have been written later. Where the chain ends it does not say: that moves with
what others decide and with changes its holder may not see. It opens nothing: a token says who
may read.

Standards: RFC 7515 (JWS, compact), RFC 7519 (JWT), ES256.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jwt

from api import jws
from api.previews import withheld_elements
from connectors.ledger import Head
from connectors.signing_keys import ALGORITHM, SigningKeys
from ipregister.authorizations import NOTHING, Authorization
from ipregister.errors import ContentMismatch
from ipregister.model import Right

TYPE = "restriction-certificate+jwt"
MEDIA_TYPE = "application/jwt"

THE_OFFICES_OWN = frozenset({"reason", "setBy"})
"""Why it was decided, and by whom: for the office and the audit chain, not for the other side."""

MAX_CHARACTERS = 262_144
"""Every element of three rights that is withheld is named, which takes 11,000 with everything
but ``core``; rules, networks and purposes come to no more than that again."""


def issue(
    keys: SigningKeys, authorization: Authorization, written: Head, *, issuer: str, at: datetime
) -> str:
    """Return a certificate (compact JWS) of an authorization as it is now.

    Args:
        keys: the hub's own; the present one signs.
        authorization: the present version, revoked or not.
        written: the row of the audit chain in which this version was decided.
        issuer: this hub's address; its public keys are at ``/oauth2/jwks``.
        at: now.
    """
    key = keys.current(at)
    claims = {
        "iss": issuer,
        "sub": authorization.thirdParty,
        "iat": int(at.timestamp()),
        "authorization": {
            name: value
            for name, value in authorization.document().items()
            if name not in THE_OFFICES_OWN
        },
        "inForce": authorization.holds(at),
        "withheldElements": {
            right: withheld_elements(right, authorization.grants.get(right, NOTHING))
            for right in Right
            if right in authorization.grants
        },
        "auditChain": {"seq": written.seq, "hash": written.hash},
    }
    headers = {"kid": key.kid, "typ": TYPE}
    return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers=headers)


def verify(text: str, published: str) -> dict[str, Any]:
    """Return what a certificate states, if one of the published keys signed it.

    Args:
        text: compact JWS.
        published: a JWK Set, as ``/oauth2/jwks`` gave it.

    Raises:
        ContentMismatch: it is no certificate, was changed, or is signed by somebody else; the
            message says which.
    """
    parts = jws.read(text.strip(), most=MAX_CHARACTERS)
    if parts is None or parts[0].get("typ") != TYPE:
        raise ContentMismatch("This is not a restriction certificate.")
    header, claims = parts
    wanted = [key for key in _keys(published) if key.get("kid") == header.get("kid")]
    if not wanted:
        raise ContentMismatch(
            "None of these keys signed it: take the JWK Set of the hub that issued it."
        )
    try:
        key = jwt.PyJWK(dict(wanted[0]))
    except (jwt.PyJWTError, TypeError) as exc:  # members of other types, too
        raise ContentMismatch("The key that signed it is damaged in these keys.") from exc
    if not jws.is_signed(text.strip(), key, ALGORITHM):
        raise ContentMismatch("It was changed after it was signed.")
    return claims


def _keys(published: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(published)
    except (ValueError, RecursionError) as exc:
        raise ContentMismatch("The keys are not a JWK Set (JSON with a list `keys`).") from exc
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ContentMismatch("The keys are not a JWK Set (JSON with a list `keys`).")
    return [key for key in keys if isinstance(key, dict)]
