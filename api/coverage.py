"""How much of an office's register is here: for the office, and as counts for coordinators."""

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_reports as openapi
from api.bodies import JSON, answer
from api.negotiation import accepts_json, available
from api.office_access import office_access
from api.parameters import read_query
from api.service import service_of
from connectors.coverage import coverage
from ipregister.errors import InvalidRequest
from ipregister.instants import instant
from ipregister.roles import HUB_ROLES, Act

router = APIRouter(prefix="/v1/offices/{office}/coverage", tags=["Reports"])


@router.get("", openapi_extra=openapi.COVERAGE)
async def read_coverage(request: Request) -> Response:
    """Return counts by right and year of application, and how old the last delivery is.

    Who sees all offices gets no counts by year below five, and no fill rates.
    """
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_COUNTS)
    if isinstance(access, Response):
        return access
    values = read_query(request.scope["query_string"], allowed=frozenset({"fillRates"}))
    if not accepts_json(request):
        return available(request, [JSON])
    if values.get("fillRates", "false") not in ("true", "false"):
        raise InvalidRequest("fillRates: true or false.")
    only_counts = access.role in HUB_ROLES
    wanted = values.get("fillRates") == "true" and not only_counts
    found = await run_in_threadpool(
        coverage, service.files(), office, fill_rates=wanted, only_counts=only_counts
    )
    at = service.clock()
    items = [one.document(at) for one in found]
    return answer({"office": office, "asOf": instant(at), "items": items})
