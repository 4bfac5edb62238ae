"""An office asks who read its records: when, by which route, under which authorization.

How receipts come to be is ``receipting``. Coordinators get the numbers of ``usage`` and no
record.
"""

import datetime as dt
from collections.abc import Mapping

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_receipts as openapi
from api.bodies import JSON, answer
from api.negotiation import accepts_json, available
from api.office_access import office_access
from api.office_parameters import read_choice, read_date
from api.paging import Paging, bound_to
from api.parameters import read_limit, read_query
from api.problems import refuse
from api.service import Service, service_of
from connectors.receipts.reading import Asked, Place, Receipts
from ipregister.errors import InvalidRequest
from ipregister.model import Right
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/access-receipts", tags=["Access receipts"])

PERIOD = ("right", "thirdParty", "readFrom", "readTo")
FILTERS = ("recordId", *PERIOD)


@router.get("", openapi_extra=openapi.RECEIPTS)
async def list_receipts(request: Request) -> Response:
    """Return who read your records, newest first; with `recordId`, who read this one.

    Who may read counts only gets what `usage` says.
    """
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_RECEIPTS, or_may=Act.READ_COUNTS)
    if isinstance(access, Response):
        return access
    if not access.may_do(Act.READ_RECEIPTS):
        return await _usage(request, service, office)
    allowed = frozenset({*FILTERS, "limit", "cursor"})
    values = read_query(request.scope["query_string"], allowed=allowed)
    if not accepts_json(request):
        return available(request, [JSON])
    limit, asked = read_limit(values), _asked(office, values)
    bound = bound_to(("access-receipts", access.clientId, office), values, FILTERS)
    paging = Paging(request, service, values, bound)
    receipts, before = Receipts(service.receipts.root), paging.place(Place)
    found = await run_in_threadpool(receipts.find, asked, before=before, limit=limit + 1)
    return paging.answer(
        found, limit, item=lambda receipt: receipt.document(), place=lambda receipt: receipt.place
    )


@router.get("/usage", openapi_extra=openapi.USAGE)
async def read_usage(request: Request) -> Response:
    """Return how much each third party read, and how much of what was taken back it still has."""
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_COUNTS)
    if isinstance(access, Response):
        return access
    return await _usage(request, service, office)


@router.get("/{requestId}", openapi_extra=openapi.NAMED)
async def read_named(request: Request) -> Response:
    """Return which records one answer held and which it took back."""
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_RECEIPTS)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    if not accepts_json(request):
        return available(request, [JSON])
    receipts, request_id = Receipts(service.receipts.root), request.path_params["requestId"]
    named = await run_in_threadpool(receipts.named, Asked(office), request_id)
    return answer(named) if any(named.values()) else refuse(request, "not_found")


async def _usage(request: Request, service: Service, office: str) -> Response:
    values = read_query(request.scope["query_string"], allowed=frozenset(PERIOD))
    if not accepts_json(request):
        return available(request, [JSON])
    asked = _asked(office, values)
    found = await run_in_threadpool(Receipts(service.receipts.root).usage, asked)
    return answer({"items": [usage.document() for usage in found]})


def _asked(office: str, values: Mapping[str, str]) -> Asked:
    since, last = read_date("readFrom", values), read_date("readTo", values)
    if since and last and last < since:
        raise InvalidRequest("readTo: not before readFrom.")
    return Asked(
        office,
        right=read_choice("right", values, Right),
        third_party=values.get("thirdParty"),
        record_id=values.get("recordId"),
        since=None if since is None else _midnight(since),
        until=None if last is None else _midnight(last + dt.timedelta(days=1)),
    )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, dt.UTC)
