"""The change feed: what happened to what a third party may see, and to what it may see.

The feed itself is the serving store's; here a cursor becomes marks and back.
"""

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.auth import authenticate
from api.parameters import read_limit, read_query
from api.problems import refuse
from api.redistribution import JSON, RIGHTS, accepts_json, caching, next_link
from api.service import Service, service_of
from connectors.ledger import Access
from connectors.serving_store import Mark, PlaceUnknown, Space
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure

router = APIRouter(prefix="/v1", tags=["Changes"])

PARAMETERS = frozenset({"office", "right", "cursor", "limit"})

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Mark]).decode


@router.get("/changes", openapi_extra=openapi.CHANGES)
async def list_changes(request: Request) -> Response:
    """Return what happened since a cursor; without one, everything there is.

    Do what the items say, in their order, and you hold exactly what you may hold. Every
    answer has a `nextCursor`: keep it and ask again with it, also when `hasMore` is false.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    if not access.may("changes:read"):
        return refuse(request, "forbidden")
    values = read_query(request.scope["query_string"], allowed=PARAMETERS)
    if not accepts_json(request):
        return refuse(request, "not_acceptable")
    limit = read_limit(values)
    grants = _wanted(access, values.get("office"), values.get("right"))
    # A narrower token must not read the rest as taken away: each scope has its own cursors.
    asked = (values.get("office", ""), values.get("right", ""), access.scope or "")
    bound_to = ("changes", access.clientId, *asked)
    marks = None
    if "cursor" in values:
        marks = _decode(service.cursors.open(values["cursor"], bound_to))
    # Who has retracted everything it had of an office is a stranger there, as before.
    if not grants and not marks and ("office" in values or "right" in values):
        return refuse(request, "not_found")
    return _feed(request, service, values, grants, marks, bound_to, limit)


def _feed(
    request: Request,
    service: Service,
    values: dict[str, str],
    grants: dict[Space, frozenset[Disclosure]],
    marks: list[Mark] | None,
    bound_to: tuple[str, ...],
    limit: int,
) -> Response:
    try:
        changes = service.serving.changes(grants, marks, limit)
    except PlaceUnknown:
        return refuse(request, "resync_required")
    cursor = service.cursors.seal(_encode(changes.marks), bound_to)
    headers = caching(frozenset().union(*grants.values()))
    headers["Link"] = next_link(request, service, values, cursor)
    more = b"true" if changes.more else b"false"
    end = b'],"hasMore":%b,"nextCursor":"%b"}' % (more, cursor.encode())
    return Response(b'{"items":[' + b",".join(changes.items) + end, 200, headers, JSON)


def _wanted(
    access: Access, office: str | None, right: str | None
) -> dict[Space, frozenset[Disclosure]]:
    """Return the grants a query asks for."""
    if right is not None and right not in RIGHTS:
        raise InvalidRequest(f"right: one of {', '.join(RIGHTS)}.")
    return {
        space: allowed
        for space, allowed in access.grants.items()
        if office in (None, space[0]) and right in (None, space[1])
    }
