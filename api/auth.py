"""Who asks: the access token of a request, looked up on every request.

Nothing about rights is in a token, and nothing is remembered longer than the ledger stays as it
is: revocation and restriction act on the next request, on every worker. Here too a bound token
must come with its proof, and a client's quota is counted. How tokens are given out is ``oauth``.

Standards: RFC 6750 (bearer tokens), RFC 9449 (bound tokens), RFC 9728 (where to get one).
"""

from collections.abc import Callable
from hashlib import sha256
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response

from api import limits
from api.addresses import caller
from api.dpop import check_proof
from api.jws import ALGORITHMS, Disbelieved
from api.problems import refuse
from api.service import Service
from connectors.ledger import Access
from connectors.ledger.environments import PRODUCTION
from connectors.serving.rows import Space
from ipregister.authorizations import Grant

MAX_TOKEN_CHARACTERS = 256
"""Our tokens have 43, and the environment's name before them where it is not Production."""

LOOK_SECONDS = 0.1
"""How often a transfer looks whether it may go on: a ledger on PostgreSQL is asked each time."""

_UNKNOWN = "The access token is unknown, expired or revoked"
_UNPROVEN = (
    "The DPoP proof does not fit. Make a new one for each request: its htm and htu, a new jti, iat "
    "by the Date of this answer, ath of this token, signed with the key it is bound to"
)


def authenticate(request: Request, service: Service) -> Access | Response:
    """Return what the caller may do now, or the refusal to send it."""
    scheme, token = _token(request)
    if scheme is None:
        return _refuse(request, service)
    at, access = service.clock(), None
    if len(token) <= MAX_TOKEN_CHARACTERS and _is_of_here(token, service.environment):
        address = caller(request, service.proxies)
        access = service.ledger.access(sha256(token).digest(), at, address)
    if access is None:
        return _refuse(request, service, "invalid_token", _UNKNOWN, bound=scheme == b"dpop")
    if access.keyThumbprint is not None or scheme == b"dpop":
        if access.keyThumbprint is None or scheme != b"dpop":
            return _refuse(request, service, "invalid_token", _UNKNOWN, bound=True)
        signer = check_proof(request, service, at=at, token=token)
        if isinstance(signer, Disbelieved) or signer != access.keyThumbprint:
            return _refuse(request, service, "invalid_dpop_proof", _UNPROVEN, bound=True)
    return limits.admit(request, access, service.limits, at) or access


def still(request: Request, service: Service, token: bytes) -> Access | None:
    """Return what a client that was let in may do by now; its proof is good for one look only."""
    return service.ledger.still(token, service.clock(), caller(request, service.proxies))


def watch(
    request: Request, service: Service, token: bytes, space: Space, given: Grant
) -> Callable[[], bool]:
    """Return what tells, while an answer is sent, whether its client may still have it.

    ``token`` is the hash of the token that opened it, ``given`` what the answer was made under.
    """
    looked = monotonic()

    def is_allowed() -> bool:
        nonlocal looked
        if (now := monotonic()) - looked < LOOK_SECONDS:
            return True
        looked = now
        access = still(request, service, token)
        grant = None if access is None else access.grants.get(space)
        return grant is not None and grant.covers(given)

    return is_allowed


def token_hash(request: Request) -> bytes:
    """Return the hash of the token of an authenticated request: what the ledger knows it by."""
    return sha256(_token(request)[1]).digest()


def marked(token: str, environment: str) -> str:
    """Return a token that says where it is good: in Production nothing, elsewhere its name."""
    return token if environment == PRODUCTION else f"{environment}.{token}"


def _is_of_here(token: bytes, environment: str) -> bool:
    if environment == PRODUCTION:
        return b"." not in token
    return token.startswith(marked("", environment).encode())


def _token(request: Request) -> tuple[bytes | None, bytes]:
    """Return scheme and token; no scheme without one, no token when there are two headers."""
    scheme: bytes | None = None
    token = b""
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            if scheme is not None:
                return scheme, b""
            scheme, _, token = value.partition(b" ")
            scheme = scheme.lower()
            if scheme not in (b"bearer", b"dpop"):
                return None, b""
    return scheme, token.lstrip(b" ")  # RFC 6750 allows several


def _refuse(
    request: Request,
    service: Service,
    error: str | None = None,
    description: str = "",
    *,
    bound: bool = False,
) -> Response:
    parts = [f'{"DPoP" if bound else "Bearer"} realm="asean-ip-hub"']
    if error:
        parts.append(f'error="{error}"')
        parts.append(f'error_description="{description}"')
    if bound:
        parts.append(f'algs="{" ".join(ALGORITHMS)}"')
    address = f"{service.public_url}/.well-known/oauth-protected-resource"
    parts.append(f'resource_metadata="{address}"')
    return refuse(request, "unauthorized", headers={"WWW-Authenticate": ", ".join(parts)})
