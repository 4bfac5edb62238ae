"""OAuth endpoints: give out access tokens, take them back.

Only ``client_credentials``: there are no people behind these clients. Tokens are opaque, 256
bits, stored as SHA-256, and say nothing about rights.

Standards: RFC 6749 §4.4, RFC 7009 (revocation).
"""

import secrets
from datetime import timedelta
from hashlib import sha256

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.client_auth import authenticate_client
from api.oauth_forms import INVALID_CLIENT, NO_STORE, Refusal, answer, invalid_request, read_form
from api.openapi import REVOKE, TOKEN
from api.service import Service, service_of
from connectors.ledger import Client
from ipregister.errors import InvalidClient
from ipregister.roles import MAY, Act, Role

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address
REVOKE_PATH = "/oauth2/revoke"

THIRD_PARTY_SCOPES = (
    "changes:read",
    "data:read:designs",
    "data:read:patents",
    "data:read:trademarks",
)
"""What a third party's client may try; what it gets is decided by the offices."""

SCOPES = (*THIRD_PARTY_SCOPES, *sorted(Act))
"""Every scope there is, for the metadata."""

TOKEN_BYTES = 32

router = APIRouter(tags=["OAuth"])


@router.post(TOKEN_PATH, openapi_extra=TOKEN)
async def issue_token(request: Request) -> Response:
    """Give out an access token for the client that authenticates."""
    service = service_of(request)
    form = await read_form(request)
    if isinstance(form, Refusal):
        return _answer(form, request)
    client = authenticate_client(request, form, service, endpoint=service.public_url + TOKEN_PATH)
    if isinstance(client, Refusal):
        return _answer(client, request)
    if (grant := form.get("grant_type")) is None:
        return invalid_request("grant_type is missing").response()
    if grant != "client_credentials":
        return Refusal("unsupported_grant_type", "Use client_credentials").response()
    asked = form.get("scope", "").split()
    known = scopes_of(client)
    if asked and not set(asked) & set(known):
        return Refusal("invalid_scope", f"Known: {' '.join(known)}").response()
    return _issue(client, service, [word for word in known if word in asked])


def scopes_of(client: Client) -> tuple[str, ...]:
    """Return the scopes a client of this role may ask for."""
    if client.role is Role.THIRD_PARTY:
        return THIRD_PARTY_SCOPES
    return tuple(sorted(MAY[client.role]))


@router.get(TOKEN_PATH, include_in_schema=False)
@router.get(REVOKE_PATH, include_in_schema=False)
async def refuse_get() -> Response:
    """Refuse credentials in a URL."""
    return invalid_request("Use POST").response({"Allow": "POST"})


@router.post(REVOKE_PATH, openapi_extra=REVOKE)
async def revoke_token(request: Request) -> Response:
    """Make an access token of the calling client worthless at once; always 200."""
    service = service_of(request)
    form = await read_form(request)
    if isinstance(form, Refusal):
        return _answer(form, request)
    client = authenticate_client(request, form, service, endpoint=service.public_url + REVOKE_PATH)
    if isinstance(client, Refusal):
        return _answer(client, request)
    if "token" not in form:
        return invalid_request("token is missing").response()
    # RFC 7009 §2.1: another client's token is none of its business, and it learns nothing.
    token_hash = sha256(form["token"].encode()).digest()
    service.ledger.tokens.revoke(token_hash, service.clock(), client.clientId)
    return Response(status_code=200, headers=NO_STORE)


def _issue(client: Client, service: Service, scopes: list[str]) -> Response:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    at = service.clock()
    expires = at + timedelta(seconds=service.token_seconds)
    token_hash = sha256(token.encode()).digest()
    try:
        scope = " ".join(scopes) or None
        service.ledger.tokens.issue(client.clientId, token_hash, expires, at, scope)
    except InvalidClient:  # revoked since it authenticated
        return INVALID_CLIENT.response()
    document: dict[str, object] = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": service.token_seconds,
    }
    return answer(document | ({"scope": scope} if scope else {}))


def _answer(refusal: Refusal, request: Request) -> Response:
    """Return a refusal; who tried HTTP Basic is told so, as RFC 6749 §5.2 asks."""
    if refusal.status == 401 and "authorization" in request.headers:
        return refusal.response({"WWW-Authenticate": 'Basic realm="asean-ip-hub"'})
    return refusal.response()
