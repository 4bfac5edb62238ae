"""Signed client assertions (``private_key_jwt``): is this the client it says it is?

All that a valid signature lets through and that must not pass is checked here: replay,
subject other than issuer, audience lists, far expiry, keys and addresses brought along in
the header. How a client's profile widens or narrows this is ``Client``'s: ``dasCompat`` for
assertions as WIPO's DAS documents them, ``strictAudience`` for FAPI 2.0.

Standards: RFC 7521, RFC 7523 and its revision (issuer as audience); FAPI 2.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK

from api.jws import ALGORITHMS, Disbelieved, identifier, instant, is_signed, read
from connectors.ledger import Client, Ledger
from connectors.ledger.public_keys import read_public_key
from connectors.ledger.tokens import Use
from ipregister.roles import Role

MAX_LIFETIME = timedelta(seconds=3600)
"""Stock Authlib signs for an hour; its clock may be ahead of ours by the tolerance below."""

DAS_MAX_LIFETIME = timedelta(seconds=1200)
"""WIPO asks for 10 s; its sample client signs for about 1,000."""

CLOCK_TOLERANCE = timedelta(seconds=30)

REPLAY_MARGIN = timedelta(seconds=60)
"""How long after its expiry an assertion's ``jti`` is remembered."""

REPLAYED = Disbelieved("replay")

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
    use = check(assertion, client, audiences=audiences, at=at)
    if isinstance(use, Disbelieved):
        return use
    fresh = ledger.tokens.use_assertion(client.clientId, use.jti, use.expires_at)
    return None if fresh else REPLAYED


def check(
    assertion: str, client: Client, *, audiences: Audiences, at: datetime
) -> Use | Disbelieved:
    """Check an assertion but for one thing; return what uses it up, which is still to be done.

    Whatever is wrong, a signature is verified: how long a refusal takes tells nothing.
    """
    if (parts := read(assertion)) is None:
        return Disbelieved("unreadable")
    header, claimed = parts
    claims = _claims(assertion, header, claimed, client, audiences, at)
    # Before it is used up: strangers must not be able to use up a client's identifiers.
    signed = _signed(assertion, header, client, at)
    if isinstance(claims, Disbelieved):
        return claims
    return Use(claims.use, claims.expires + REPLAY_MARGIN) if signed else Disbelieved("signature")


def spend_as_long(assertion: str, client_id: str, *, audiences: Audiences, at: datetime) -> None:
    """Check in vain: an unknown client must not be recognised by a faster refusal."""
    check(assertion, replace(_NOBODY, clientId=client_id), audiences=audiences, at=at)


def _claims(
    assertion: str,
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    client: Client,
    audiences: Audiences,
    at: datetime,
) -> Claims | Disbelieved:
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
    # It would have lived longer than any may, whatever its expiry says of the rest.
    if (issued := times["iat"]) is not None and issued < at - longest - CLOCK_TOLERANCE:
        return Disbelieved("issued too long ago")
    return Claims(use, expires)


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
    fitting = [
        key
        for key in client.live_keys(at)
        if header.get("kid", key.kid) == key.kid and header.get("alg") == key.jwk["alg"]
    ]
    if not fitting:
        is_signed(assertion, _nobodys_key(), "ES256")
    return any(
        is_signed(assertion, _key(tuple(sorted(key.jwk.items()))), key.jwk["alg"])
        for key in fitting
    )


@lru_cache(maxsize=1024)
def _key(jwk: tuple[tuple[str, str], ...]) -> PyJWK:
    """Return a key as PyJWT takes it: reading the numbers takes half as long as verifying."""
    return PyJWK(dict(jwk))


@cache
def _nobodys_key() -> PyJWK:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return PyJWK(read_public_key(pem.decode()))


_NOBODY = Client(
    *("", "", None, None, Role.THIRD_PARTY, (), False, datetime.min.replace(tzinfo=UTC), "", None)
)
"""A client without keys."""
