"""What a client may see: who it is, which offices share what with it, how much there is."""

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi, openapi_exports
from api.auth import authenticate
from api.authorizations import certificate
from api.limits import quota
from api.openapi_authorizations import MY_CERTIFICATE
from api.parameters import read_query
from api.problems import refuse
from api.redistribution import JSON
from api.service import Service, service_of
from connectors.ledger import Access
from ipregister.errors import InvalidRequest
from ipregister.model import Right
from ipregister.offices import originating_offices
from ipregister.roles import Act

PROFILE_TYPES = ("oauth_client_credentials", "bearer_token")
SECRET = "put your client secret here"  # noqa: S105 - where a secret goes, not one

router = APIRouter(prefix="/v1", tags=["Clients"])

HEADERS = {"Cache-Control": "private, no-store", "Vary": "Authorization, Accept"}


@router.get("/me", openapi_extra=openapi.ME)
async def read_me(request: Request) -> Response:
    """Return who you are and what each office lets you see."""
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    terms = _terms(service, access)
    document: dict[str, object] = {
        "clientId": access.clientId,
        "thirdParty": access.thirdParty,
        "officeCode": access.office,
        "role": access.role,
        "may": [act for act in Act if access.may_do(act)] or None,
        "authorizations": [
            {"officeCode": office, "version": access.versions.get(office), "rights": rights}
            | terms.get(office, {})
            for office, rights in _rights(access).items()
        ],
        "quota": quota(request),
    }
    return _answer({name: value for name, value in document.items() if value is not None})


@router.get("/me/authorizations/{office}/certificate", openapi_extra=MY_CERTIFICATE)
async def read_certificate(request: Request) -> Response:
    """Return a signed statement of what an office shares with you, to show to others."""
    service, office = service_of(request), request.path_params["office"]
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    if office not in access.versions or access.thirdParty is None:
        return refuse(request, "not_found")
    found = service.ledger.authorizations.show(office, access.thirdParty)
    # It says all that is shared: a token that was asked for some of the rights does not open it.
    if found is None or any((office, right) not in access.grants for right in found.grants):
        return refuse(request, "not_found")
    return certificate(service, found)


@router.get("/offices", openapi_extra=openapi.OFFICES)
async def list_offices(request: Request) -> Response:
    """Return the offices that share something with you, and how many records of each right."""
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    names = {office.code: office.name for office in originating_offices()}

    def count(office: str, right: Right) -> int:
        return service.serving.count(office, right, access.grants[office, right])

    items = [
        {
            "officeCode": office,
            "name": names.get(office, office),
            "rights": [
                {**right, "records": count(office, Right(str(right["right"])))} for right in rights
            ],
        }
        for office, rights in _rights(access).items()
    ]
    return _answer({"items": items})


@router.get("/me/delta-sharing-profile", openapi_extra=openapi_exports.DELTA_PROFILE)
async def read_profile(request: Request) -> Response:
    """Return a profile file with which Delta Sharing clients read what you may see.

    No secret is ever shown again, so the usual profile has a place to put yours in. With
    `type=bearer_token` it carries the access token you ask with, and is good as long as that.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    values = read_query(request.scope["query_string"], allowed=frozenset({"type"}))
    kind = values.get("type", PROFILE_TYPES[0])
    if kind not in PROFILE_TYPES:
        raise InvalidRequest(f"type: one of {', '.join(PROFILE_TYPES)}.")
    address = f"{service.public_url}/delta-sharing"
    if kind == PROFILE_TYPES[1]:
        if access.keyThumbprint is not None:  # no Delta Sharing client can prove possession
            return refuse(request, "forbidden")
        _, _, token = request.headers["authorization"].partition(" ")
        # The first version of profiles knows bearer tokens only, and every client knows it.
        return _answer({"shareCredentialsVersion": 1, "endpoint": address, "bearerToken": token})
    return _answer(
        {
            "shareCredentialsVersion": 2,
            "type": kind,
            "endpoint": address,
            "tokenEndpoint": f"{service.public_url}/oauth2/token",
            "clientId": access.clientId,
            "clientSecret": SECRET,
        }
    )


def _terms(service: Service, access: Access) -> dict[str, dict[str, object]]:
    """Return until when, for what and under which terms each office shares."""
    if access.thirdParty is None:
        return {}
    told = ("validFrom", "validUntil", "termsOfUse", "purpose")
    found = service.ledger.authorizations.list(third_party=access.thirdParty)
    return {
        each.office: {name: value for name, value in each.document().items() if name in told}
        for each in found
    }


def _rights(access: Access) -> dict[str, list[dict[str, object]]]:
    """Return what is shared, by office and right, each in order."""
    shared: dict[str, list[dict[str, object]]] = {}
    for office, right in sorted(access.grants):
        seen = {"right": right} | access.grants[office, right].document()
        shared.setdefault(office, []).append(seen)
    return shared


def _answer(document: dict[str, object]) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(body, 200, HEADERS, JSON)
