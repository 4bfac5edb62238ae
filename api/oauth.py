"""OAuth endpoints: give out access tokens, take them back, say what one is worth.

Only ``client_credentials``: there are no people behind these clients. Tokens are opaque, 256
bits, stored as SHA-256, and say nothing about rights. Who proves possession of a key gets a
token bound to it.

Standards: RFC 6749 §4.4, RFC 7009 (revocation), RFC 7662 (introspection), RFC 9449 (DPoP).
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.auth import marked
from api.client_auth import Authenticated, authenticate_client
from api.direct import DirectRoute
from api.dpop import check_proof, sent_proofs
from api.jws import Disbelieved
from api.oauth_forms import INVALID_CLIENT, NO_STORE, Refusal, answer, invalid_request, read_form
from api.openapi_oauth import INTROSPECT, REVOKE, TOKEN
from api.service import Service, service_of
from connectors.ledger import Client, Token
from connectors.ledger.tokens import Use
from ipregister.errors import InvalidClient
from ipregister.roles import MAY, Act, Role

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address
REVOKE_PATH = "/oauth2/revoke"
INTROSPECT_PATH = "/oauth2/introspect"

THIRD_PARTY_SCOPES = (
    "changes:read",
    "data:read:designs",
    "data:read:patents",
    "data:read:trademarks",
    "exports:create",
)
"""What a third party's client may try; what it gets is decided by the offices."""

DAS_SCOPES = ("das-api/das-access", "das-api/office-exchange")
"""What WIPO's DAS calls its own routes, in both of its spellings."""

SCOPES = (*THIRD_PARTY_SCOPES, *sorted(Act))
"""Every scope there is, for the metadata."""

TOKEN_BYTES = 32

BAD_PROOF = Refusal(
    "invalid_dpop_proof",
    "The DPoP proof does not fit this request. Make a new one for each: its htm and htu, a new "
    "jti, iat by the Date of this answer",
)

router = APIRouter(tags=["OAuth"], route_class=DirectRoute)


@router.post(TOKEN_PATH, openapi_extra=TOKEN)
async def issue_token(request: Request) -> Response:
    """Give out an access token for the client that authenticates."""
    service = service_of(request)
    found = await _caller(request, service, TOKEN_PATH)
    if isinstance(found, Response):
        return found
    caller, form = found
    asked = _asked(request, caller.client, form)
    if isinstance(asked, list) and not sent_proofs(request):
        if (given := _issue(service, caller.client, asked, use=caller.use)) is None:
            return _answer(caller.disbelieve(), request)
        caller.believe()
        return given
    if (refusal := caller.settle()) is not None:
        return _answer(refusal, request)
    if isinstance(asked, Refusal):
        return asked.response()
    key = check_proof(request, service, at=service.clock())
    if isinstance(key, Disbelieved):
        return BAD_PROOF.response()
    return _issue(service, caller.client, asked, key=key) or INVALID_CLIENT.response()


def _asked(request: Request, client: Client, form: Mapping[str, str]) -> list[str] | Refusal:
    """Return the scopes a client asks a token for, or why it gets none."""
    if (grant := form.get("grant_type")) is None:
        return invalid_request("grant_type is missing")
    if grant != "client_credentials":
        return Refusal("unsupported_grant_type", "Use client_credentials")
    asked = form.get("scope", "").split()
    known = scopes_of(client)
    if asked and not set(asked) & set(known):
        return Refusal("invalid_scope", f"Known: {' '.join(known)}")
    if client.dpopRequired and not sent_proofs(request):
        return Refusal("invalid_dpop_proof", "This client must send a DPoP proof")
    return [word for word in known if word in asked]


def scopes_of(client: Client) -> tuple[str, ...]:
    """Return the scopes a client of this role may ask for."""
    das = DAS_SCOPES if client.dasCompat else ()
    if client.role is Role.THIRD_PARTY:
        return THIRD_PARTY_SCOPES + das
    return tuple(sorted(MAY[client.role])) + das


@router.get(TOKEN_PATH, include_in_schema=False)
@router.get(REVOKE_PATH, include_in_schema=False)
@router.get(INTROSPECT_PATH, include_in_schema=False)
async def refuse_get(request: Request) -> Response:
    """Refuse credentials in a URL."""
    return invalid_request("Use POST").response({"Allow": "POST"})


@router.post(REVOKE_PATH, openapi_extra=REVOKE)
async def revoke_token(request: Request) -> Response:
    """Make an access token of the calling client worthless at once; always 200."""
    service = service_of(request)
    caller = await _settled(request, service, REVOKE_PATH)
    if isinstance(caller, Response):
        return caller
    client, form = caller
    if "token" not in form:
        return invalid_request("token is missing").response()
    # RFC 7009 §2.1: another client's token is none of its business, and it learns nothing.
    service.ledger.tokens.revoke(_hash(form["token"]), service.clock(), client.clientId)
    return Response(status_code=200, headers=NO_STORE)


@router.post(INTROSPECT_PATH, openapi_extra=INTROSPECT)
async def introspect_token(request: Request) -> Response:
    """Say what an access token of the calling client is worth now; operators may ask about all."""
    service = service_of(request)
    caller = await _settled(request, service, INTROSPECT_PATH)
    if isinstance(caller, Response):
        return caller
    client, form = caller
    if "token" not in form:
        return invalid_request("token is missing").response()
    token = service.ledger.tokens.find(_hash(form["token"]), service.clock())
    # RFC 7662 §2.2: of a token that is none of the caller's business not even that it lives.
    if token is None or (token.clientId != client.clientId and client.role is not Role.OPERATOR):
        return answer({"active": False})
    return answer(_description(token, service))


def _description(token: Token, service: Service) -> dict[str, object]:
    bound = token.keyThumbprint
    document: dict[str, object] = {
        "active": True,
        "client_id": token.clientId,
        "sub": token.clientId,
        "iss": service.public_url,
        "aud": service.public_url,
        "iat": int(token.issuedAt.timestamp()),
        "exp": int(token.expiresAt.timestamp()),
        "token_type": "DPoP" if bound else "Bearer",
    }
    document |= {"scope": token.scope} if token.scope else {}
    return document | ({"cnf": {"jkt": bound}} if bound else {})


async def _settled(
    request: Request, service: Service, path: str
) -> tuple[Client, dict[str, str]] | Response:
    """Return the client that calls an endpoint with its form, or the refusal to send it."""
    caller = await _caller(request, service, path)
    if isinstance(caller, Response):
        return caller
    refusal = caller[0].settle()
    return (caller[0].client, caller[1]) if refusal is None else _answer(refusal, request)


async def _caller(
    request: Request, service: Service, path: str
) -> tuple[Authenticated, dict[str, str]] | Response:
    """Return who calls an endpoint, still to be settled, with its form; or the refusal to send."""
    form = await read_form(request)
    if isinstance(form, Refusal):
        return _answer(form, request)
    found = authenticate_client(request, form, service, endpoint=service.public_url + path)
    return _answer(found, request) if isinstance(found, Refusal) else (found, form)


def _issue(
    service: Service,
    client: Client,
    scopes: list[str],
    *,
    key: str | None = None,
    use: Use | None = None,
) -> Response | None:
    """Give a token out and use up the assertion it is for; nothing when that was used before."""
    token = marked(secrets.token_urlsafe(TOKEN_BYTES), service.environment)
    at = service.clock()
    expires = at + timedelta(seconds=service.token_seconds)
    scope = " ".join(scopes) or None
    about = (client.clientId, _hash(token), expires, at, scope, key)
    try:
        if not service.ledger.tokens.issue(*about, assertion=use):
            return None
    except InvalidClient:  # revoked since it authenticated
        return INVALID_CLIENT.response()
    document: dict[str, object] = {
        "access_token": token,
        "token_type": "Bearer" if key is None else "DPoP",
        "expires_in": service.token_seconds,
    }
    return answer(document | ({"scope": scope} if scope else {}))


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "backslashreplace")).digest()


def _answer(refusal: Refusal, request: Request) -> Response:
    """Return a refusal; who tried HTTP Basic is told so, as RFC 6749 §5.2 asks."""
    if refusal.status == 401 and "authorization" in request.headers:
        return refusal.response({"WWW-Authenticate": 'Basic realm="asean-ip-hub"'})
    return refusal.response()
