"""Who asks: the access token of a request, looked up on every request.

Nothing about rights is in a token or cached: revocation and restriction act on the next
request, on every worker. How tokens are given out is ``oauth``.

Standards: RFC 6750 (bearer tokens), RFC 9728 (where to get one).
"""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from api.problems import refuse
from api.service import Service
from connectors.ledger import Access

MAX_TOKEN_CHARACTERS = 256
"""Our tokens have 43; a longer one is refused before it is hashed."""


def authenticate(request: Request, service: Service) -> Access | Response:
    """Return what the caller may do now, or the refusal to send it."""
    token = _token(request)
    if token is None:
        return _refuse(request, service, None)
    access = None
    if token and len(token) <= MAX_TOKEN_CHARACTERS:
        access = service.ledger.access(sha256(token).digest(), service.clock())
    return access or _refuse(request, service, "invalid_token")


def _token(request: Request) -> bytes | None:
    """Return the bearer token; ``None`` without one, empty when there are two headers."""
    token: bytes | None = None
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            if token is not None:
                return b""
            scheme, _, token = value.partition(b" ")
            if scheme.lower() != b"bearer":
                return None
    return token


def _refuse(request: Request, service: Service, error: str | None) -> Response:
    parts = ['Bearer realm="asean-ip-hub"']
    if error:
        parts.append(f'error="{error}"')
        parts.append('error_description="The access token is unknown, expired or revoked"')
    address = f"{service.public_url}/.well-known/oauth-protected-resource"
    parts.append(f'resource_metadata="{address}"')
    return refuse(request, "unauthorized", headers={"WWW-Authenticate": ", ".join(parts)})
