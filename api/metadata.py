"""Where a program finds what it needs to know about this hub's OAuth.

Standards: RFC 7517 (keys), RFC 8414 (authorization server), RFC 9728 (protected resource).
"""

import json
from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.jws import ALGORITHMS
from api.oauth import DAS_SCOPES, INTROSPECT_PATH, REVOKE_PATH, SCOPES, TOKEN_PATH
from api.service import service_of

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")

KEYS_PATH = "/oauth2/jwks"

router = APIRouter(tags=["OAuth"])


@router.get("/.well-known/oauth-authorization-server", openapi_extra=openapi.METADATA)
async def describe_server(request: Request) -> Response:
    """Describe the token endpoint and how clients authenticate."""
    service = service_of(request)
    issuer, algorithms = service.public_url, list(ALGORITHMS)
    ways = {
        f"{endpoint}_endpoint_auth_{what}_supported": values
        for endpoint in ("token", "revocation", "introspection")
        for what, values in (("methods", list(METHODS)), ("signing_alg_values", algorithms))
    }
    return _answer(
        {
            "issuer": issuer,
            "jwks_uri": issuer + KEYS_PATH,
            "token_endpoint": issuer + TOKEN_PATH,
            "revocation_endpoint": issuer + REVOKE_PATH,
            "introspection_endpoint": issuer + INTROSPECT_PATH,
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": [*SCOPES, *DAS_SCOPES],
            **ways,
            "dpop_signing_alg_values_supported": algorithms,
            "service_documentation": issuer + "/docs",
            "environment": service.environment,
        }
    )


@router.get("/.well-known/oauth-protected-resource", openapi_extra=openapi.METADATA)
async def describe_resource(request: Request) -> Response:
    """Describe the API as a protected resource."""
    service = service_of(request)
    address = service.public_url
    return _answer(
        {
            "resource": address,
            "authorization_servers": [address],
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
            "jwks_uri": address + KEYS_PATH,
            # Asked of some clients, not of all.
            "dpop_bound_access_tokens_required": False,
            "dpop_signing_alg_values_supported": list(ALGORITHMS),
            "resource_name": "ASEAN IP data-sharing hub",
            "environment": service.environment,
        }
    )


@router.get(KEYS_PATH, openapi_extra=openapi.KEYS)
async def list_keys(request: Request) -> Response:
    """Return the keys with which what the hub signs can be verified."""
    service = service_of(request)
    keys = [] if service.keys is None else service.keys.published(service.clock())
    return _answer({"keys": keys}, "application/jwk-set+json")


def _answer(document: Mapping[str, object], media_type: str = "application/json") -> Response:
    body = json.dumps(document, indent=2)
    return Response(body, 200, {"Cache-Control": "public, max-age=300"}, media_type)
