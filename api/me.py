"""What a client may see: who it is, which offices share what with it, how much there is."""

import json

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.auth import authenticate
from api.limits import quota
from api.parameters import read_query
from api.redistribution import JSON
from api.service import service_of
from connectors.ledger import Access
from ipregister.model import Right
from ipregister.offices import originating_offices
from ipregister.roles import Act

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
    document: dict[str, object] = {
        "clientId": access.clientId,
        "thirdParty": access.thirdParty,
        "officeCode": access.office,
        "role": access.role,
        "may": [act for act in Act if access.may_do(act)] or None,
        "authorizations": [
            {"officeCode": office, "version": access.versions.get(office), "rights": rights}
            for office, rights in _rights(access).items()
        ],
        "quota": quota(request),
    }
    return _answer({name: value for name, value in document.items() if value is not None})


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
