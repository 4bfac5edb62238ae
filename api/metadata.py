"""Where a program finds what it needs to know about this hub's OAuth.

Standards: RFC 8414 (authorization server), RFC 9728 (protected resource).
"""

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.client_assertions import ALGORITHMS
from api.oauth import REVOKE_PATH, SCOPES, TOKEN_PATH
from api.service import service_of

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")

router = APIRouter(prefix="/.well-known", tags=["OAuth"])


@router.get("/oauth-authorization-server", openapi_extra=openapi.METADATA)
async def describe_server(request: Request) -> Response:
    """Describe the token endpoint and how clients authenticate."""
    issuer = service_of(request).public_url
    return _answer(
        {
            "issuer": issuer,
            "token_endpoint": issuer + TOKEN_PATH,
            "revocation_endpoint": issuer + REVOKE_PATH,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": list(SCOPES),
            "token_endpoint_auth_methods_supported": list(METHODS),
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "revocation_endpoint_auth_methods_supported": list(METHODS),
            "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        }
    )


@router.get("/oauth-protected-resource", openapi_extra=openapi.METADATA)
async def describe_resource(request: Request) -> Response:
    """Describe the API as a protected resource."""
    address = service_of(request).public_url
    return _answer(
        {
            "resource": address,
            "authorization_servers": [address],
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
            "resource_name": "ASEAN IP data-sharing hub",
        }
    )


def _answer(document: dict[str, object]) -> Response:
    body = json.dumps(document, indent=2)
    return Response(body, 200, {"Cache-Control": "public, max-age=300"}, "application/json")
