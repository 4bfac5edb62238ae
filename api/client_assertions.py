"""Signed client assertions (``private_key_jwt``): is this the client it says it is?

All that a valid signature lets through and that must not pass is checked here: replay,
subject other than issuer, audience lists, far expiry, keys and addresses brought along in
the header. How a client's profile widens or narrows this is ``Client``'s: ``dasCompat`` for
assertions as WIPO's DAS documents them, ``strictAudience`` for FAPI 2.0.

Standards: RFC 7521, RFC 7523 and its revision (issuer as audience); FAPI 2.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.jws import ALGORITHMS, Disbelieved, identifier, instant, is_signed, read
from connectors.ledger import Client, Ledger
from connectors.ledger.public_keys import read_public_key

MAX_LIFETIME = timedelta(seconds=3600)
"""Stock Authlib signs for an hour; its clock may be ahead of ours by the tolerance below."""

DAS_MAX_LIFETIME = timedelta(seconds=1200)
"""WIPO asks for 10 s; its sample client signs for about 1,000."""

CLOCK_TOLERANCE = timedelta(seconds=30)

REPLAY_MARGIN = timedelta(seconds=60)
"""How long after its expiry an assertion's ``jti`` is remembered."""

HEADER_MEMBERS = frozenset({"alg", "typ", "kid"})
"""Others name keys or addresses (``jwk``, ``jku``, ``x5u``) or change how to read (``crit``)."""


@dataclass(frozen=True, slots=True)
class Audiences:
    """What we are called in an assertion: the issuer by everyone, the endpoint by most."""

    issuer: str
    endpoint: str

    def accept(self, claimed: object, client: Client) -> bool:
        """Tell whether an ``aud`` means this endpoint, for this client."""
        ours = {self.issuer} if client.strictAudience else {self.issuer, self.endpoint}
        if isinstance(claimed, list) and client.dasCompat:
            return bool(claimed) and all(isinstance(n, str) and n in ours for n in claimed)
        # A string, not a list: an assertion for two servers can be replayed by either.
        return isinstance(claimed, str) and claimed in ours


@dataclass(frozen=True, slots=True)
class Claims:
    """What was asserted, types checked, signature not yet."""

    header: Mapping[str, Any]
    use: str
    expires: datetime


def subject_of(assertion: str) -> str | None:
    """Return whom an assertion claims to be, unverified; ``None`` when it cannot be read."""
    parts = read(assertion)
    subject = parts[1].get("sub") if parts else None
    return subject if isinstance(subject, str) else None


def verify(
    assertion: str, client: Client, ledger: Ledger, *, audiences: Audiences, at: datetime
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
    fresh = ledger.tokens.use_assertion(client.clientId, claims.use, claims.expires + REPLAY_MARGIN)
    return None if fresh else Disbelieved("replay")


def spend_as_long(assertion: str) -> None:
    """Verify in vain: an unknown client must not be recognised by a faster refusal."""
    is_signed(assertion, _nobodys_key(), "ES256")


def _claims(
    assertion: str, client: Client, audiences: Audiences, at: datetime
) -> Claims | Disbelieved:
    parts = read(assertion)
    if parts is None:
        return Disbelieved("unreadable")
    header, claims = parts
    if not header.keys() <= HEADER_MEMBERS or header.get("alg") not in ALGORITHMS:
        return Disbelieved("header")
    if not (claims.get("iss") == claims.get("sub") == client.clientId):
        return Disbelieved("issuer or subject")
    if not audiences.accept(claims.get("aud"), client):
        return Disbelieved("audience")
    if (use := _use(assertion, claims, client)) is None:
        return Disbelieved("jti")
    times = {name: instant(claims.get(name)) for name in ("exp", "iat", "nbf")}
    if any(times[name] is None and name in claims for name in times):
        return Disbelieved("type of a time")
    if (expires := times["exp"]) is None:
        return Disbelieved("no expiry")
    longest = DAS_MAX_LIFETIME if client.dasCompat else MAX_LIFETIME
    if not at < expires <= at + longest + CLOCK_TOLERANCE:
        return Disbelieved("expiry")
    if any(times[name] and times[name] > at + CLOCK_TOLERANCE for name in ("iat", "nbf")):  # type: ignore[operator]
        return Disbelieved("from the future")
    return Claims(header, use, expires)


def _use(assertion: str, claims: Mapping[str, Any], client: Client) -> str | None:
    """Return what tells this assertion from every other of its client.

    Without a ``jti``, which DAS does not know, it is the hash of the signed payload: the
    signature has two valid forms in ECDSA, so the whole text would open twice.
    """
    if client.dasCompat and "jti" not in claims:
        return f"payload {sha256(assertion.split('.')[1].encode()).hexdigest()}"
    return identifier(claims.get("jti"))


def _signed(assertion: str, header: Mapping[str, Any], client: Client, at: datetime) -> bool:
    """Tell whether one of the client's live keys signed it; a ``kid`` names exactly one."""
    for key in client.live_keys(at):
        if header.get("kid", key.kid) != key.kid or header["alg"] != key.jwk["alg"]:
            continue
        if is_signed(assertion, key.jwk, key.jwk["alg"]):
            return True
    return False


@cache
def _nobodys_key() -> Mapping[str, str]:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return read_public_key(pem.decode())
