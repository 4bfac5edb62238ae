"""Which client is calling an OAuth endpoint: secret (basic, post) or signed assertion.

Exactly one way at a time. Every failure is the same answer; the reason is logged with the
client's identifier when there is such a client.

Standards: RFC 6749 §2.3, RFC 7523 §2.2.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import unquote_plus

import structlog
from starlette.requests import Request

from api import client_assertions
from api.oauth_forms import INVALID_CLIENT, Refusal, invalid_request
from api.service import Service
from connectors.ledger import Client

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

MAX_CREDENTIAL_CHARACTERS = 512
"""Our identifiers have 19 characters and our secrets 43."""


def authenticate_client(
    request: Request, form: Mapping[str, str], service: Service, *, endpoint: str
) -> Client | Refusal:
    """Return the client that sent ``form`` to ``endpoint`` (its URL), or the refusal."""
    headers = request.headers.getlist("authorization")
    asserted = "client_assertion" in form or "client_assertion_type" in form
    ways = len(headers) + ("client_secret" in form) + asserted
    if ways > 1:
        return invalid_request("Authenticate in one way, not in several")
    if headers:
        return _by_basic(headers[0], form, service)
    if asserted:
        return _by_assertion(form, service, endpoint)
    if "client_secret" in form and "client_id" in form:
        return _by_secret(form["client_id"], form["client_secret"], service)
    return INVALID_CLIENT


def _by_basic(header: str, form: Mapping[str, str], service: Service) -> Client | Refusal:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 4 * MAX_CREDENTIAL_CHARACTERS:
        return INVALID_CLIENT
    try:
        pair = b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return INVALID_CLIENT
    # RFC 6749 §2.3.1: both are form-encoded first; ours have nothing to encode.
    name, colon, secret = pair.partition(":")
    client_id = unquote_plus(name)
    if not colon:
        return INVALID_CLIENT
    if form.get("client_id", client_id) != client_id:
        return invalid_request("client_id is not the client that authenticates")
    return _by_secret(client_id, unquote_plus(secret), service)


def _by_secret(client_id: str, secret: str, service: Service) -> Client | Refusal:
    if max(len(client_id), len(secret)) > MAX_CREDENTIAL_CHARACTERS:
        return INVALID_CLIENT
    client = service.ledger.clients.verify_secret(client_id, secret, service.clock())
    return client or _refuse(client_id, service, "secret")


def _by_assertion(form: Mapping[str, str], service: Service, endpoint: str) -> Client | Refusal:
    if "client_assertion" not in form or form.get("client_assertion_type") != ASSERTION_TYPE:
        return invalid_request("client_assertion and client_assertion_type do not fit")
    assertion = form["client_assertion"]
    subject = client_assertions.subject_of(assertion)
    if subject is None or len(subject) > MAX_CREDENTIAL_CHARACTERS:
        return INVALID_CLIENT
    if form.get("client_id", subject) != subject:
        return invalid_request("client_id is not the client that authenticates")
    client = service.ledger.clients.by_id(subject)
    if client is None or not client.is_active:
        return INVALID_CLIENT
    audiences = (service.public_url, endpoint)
    doubt = client_assertions.verify(
        assertion, client, service.ledger, audiences=audiences, at=service.clock()
    )
    return client if doubt is None else _refuse(subject, service, f"assertion: {doubt.reason}")


def _refuse(client_id: str, service: Service, reason: str) -> Refusal:
    # Only identifiers we gave out are logged: people paste secrets into the wrong field.
    known = service.ledger.clients.by_id(client_id)
    structlog.get_logger().warning(
        "client_refused", client_id=known.clientId if known else None, reason=reason
    )
    return INVALID_CLIENT
