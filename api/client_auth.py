"""Which client is calling an OAuth endpoint: secret (basic, post) or signed assertion.

Exactly one way at a time. Every failure is the same answer after the same work, whether the
client exists or not; the reason is logged with the client's identifier when there is such a
client. Who fails too often from one address has to wait there, and nowhere else.

Standards: RFC 6749 §2.3, RFC 7523 §2.2.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus

import structlog
from starlette.requests import Request

from api import client_assertions, limits
from api.addresses import client_address, subscriber
from api.client_assertions import REPLAYED, Audiences
from api.jws import Disbelieved
from api.oauth_forms import (
    INVALID_CLIENT,
    Refusal,
    invalid_request,
    too_many_calls,
    too_many_failures,
)
from api.service import Service
from connectors.ledger import Client
from connectors.ledger.tokens import Use

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

MAX_CREDENTIAL_CHARACTERS = 512
"""Our identifiers have 19 characters and our secrets 43."""


@dataclass(frozen=True, slots=True)
class Presented:
    """Whom a caller claims to be, and by what it wants to be believed."""

    client_id: str
    secret: str = ""
    assertion: str = ""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A client that is believed, once ``settle`` agrees: its assertion may have been used before.

    Who gives out a token uses the assertion up in the same transaction, by ``use``, and then
    says ``believe``; everybody else calls ``settle``.
    """

    client: Client
    service: Service
    who: tuple[str, str, datetime, float]
    use: Use | None

    def settle(self) -> Refusal | None:
        """Use the assertion up, if there is one; return the refusal when it was used before."""
        if self.use is not None and not self.service.ledger.tokens.use_assertion(
            self.client.clientId, *self.use
        ):
            return self.disbelieve()
        self.believe()
        return None

    def believe(self) -> None:
        """Note that the credential was right."""
        limits.credential_was_right(self.service.limits, *self.who)
        limits.count_oauth(self.service.limits, self.client, self.who[2])

    def too_often(self) -> Refusal | None:
        """Return the refusal of a client that called too often in this minute."""
        wait = limits.try_oauth(self.service.limits, self.client, self.who[2])
        if not wait:
            return None
        limits.credential_was_right(self.service.limits, *self.who)
        return too_many_calls(wait)

    def disbelieve(self) -> Refusal:
        """Return the refusal of an assertion that was used before."""
        _log_doubt(self.client.clientId, self.service, f"assertion: {REPLAYED.reason}")
        return INVALID_CLIENT


def authenticate_client(
    request: Request, form: Mapping[str, str], service: Service, *, endpoint: str
) -> Authenticated | Refusal:
    """Return the client that sent ``form`` to ``endpoint`` (its URL), or the refusal."""
    presented = _presented(request, form)
    if isinstance(presented, Refusal):
        return presented
    if max(len(presented.client_id), len(presented.secret)) > MAX_CREDENTIAL_CHARACTERS:
        return INVALID_CLIENT
    if not (presented.client_id.isascii() and presented.client_id.isprintable()):
        return INVALID_CLIENT  # none of ours, and no database takes NUL or half a character
    at = service.clock()
    weight = limits.AN_ASSERTION if presented.assertion else limits.A_SECRET
    who = presented.client_id, subscriber(client_address(request, service.proxies)), at, weight
    if wait := limits.try_credential(service.limits, *who):
        return too_many_failures(wait)
    use: Use | None = None
    if presented.assertion:
        believed = _by_assertion(presented, service, endpoint)
        client, use = believed if believed is not None else (None, None)
    else:
        client = _by_secret(presented, service)
    if client is None:
        return INVALID_CLIENT
    found = Authenticated(client, service, who, use)
    return found.too_often() or found


def _presented(request: Request, form: Mapping[str, str]) -> Presented | Refusal:
    headers = request.headers.getlist("authorization")
    asserted = "client_assertion" in form or "client_assertion_type" in form
    ways = len(headers) + ("client_secret" in form) + asserted
    if ways > 1:
        return invalid_request("Authenticate in one way, not in several")
    if headers:
        presented = _read_basic(headers[0])
    elif asserted:
        presented = _read_assertion(form)
    elif "client_secret" in form and "client_id" in form:
        return Presented(form["client_id"], secret=form["client_secret"])
    else:
        return INVALID_CLIENT
    if isinstance(presented, Refusal):
        return presented
    if form.get("client_id", presented.client_id) != presented.client_id:
        return invalid_request("client_id is not the client that authenticates")
    return presented


def _read_basic(header: str) -> Presented | Refusal:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 4 * MAX_CREDENTIAL_CHARACTERS:
        return INVALID_CLIENT
    try:
        pair = b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return INVALID_CLIENT
    # RFC 6749 §2.3.1: both are form-encoded first; ours have nothing to encode.
    name, colon, secret = pair.partition(":")
    return Presented(unquote_plus(name), unquote_plus(secret)) if colon else INVALID_CLIENT


def _read_assertion(form: Mapping[str, str]) -> Presented | Refusal:
    if "client_assertion" not in form or form.get("client_assertion_type") != ASSERTION_TYPE:
        return invalid_request("client_assertion and client_assertion_type do not fit")
    assertion = form["client_assertion"]
    subject = client_assertions.subject_of(assertion)
    return INVALID_CLIENT if subject is None else Presented(subject, assertion=assertion)


def _by_secret(presented: Presented, service: Service) -> Client | None:
    name, secret = presented.client_id, presented.secret
    client = service.ledger.clients.verify_secret(name, secret, service.clock())
    if client is None:
        _log_doubt(name, service, "secret")
    return client


def _by_assertion(
    presented: Presented, service: Service, endpoint: str
) -> tuple[Client, Use] | None:
    name, assertion, at = presented.client_id, presented.assertion, service.clock()
    client = service.ledger.clients.to_authenticate(name)
    audiences = Audiences(issuer=service.public_url, endpoint=endpoint)
    if client is None or not client.is_active:
        client_assertions.spend_as_long(assertion, name, audiences=audiences, at=at)
        _log_doubt(name, service, "no such client")
        return None
    use = client_assertions.check(assertion, client, audiences=audiences, at=at)
    if isinstance(use, Disbelieved):
        _log_doubt(name, service, f"assertion: {use.reason}")
        return None
    return client, use


def _log_doubt(client_id: str, service: Service, reason: str) -> None:
    # Only identifiers we gave out are logged: people paste secrets into the wrong field.
    known = service.ledger.clients.to_authenticate(client_id)
    structlog.get_logger().warning(
        "client_refused", client_id=known.clientId if known else None, reason=reason
    )
