"""The findings of one delivery, as data: what is wrong, where, and how to mend it.

JSON comes in pages; CSV and NDJSON are a whole work list, streamed. The page people read is
``quality_reports``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_offices as openapi
from api.bodies import JSON
from api.deliveries import own_delivery
from api.negotiation import accepted, available
from api.office_access import office_access
from api.office_parameters import read_choices
from api.paging import Paging, bound_to
from api.parameters import MAX_VALUE_CHARACTERS, read_limit, read_query
from api.problems import refuse
from api.service import service_of
from api.work_lists import FORMS, work_list
from connectors.reports.finding_pages import FINDING_FIELDS, Finding, FindingQuery, read_findings
from ipregister.errors import InvalidRequest
from ipregister.quality import Severity
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/deliveries", tags=["Deliveries"])

FILTERS = ("ruleCode", "severity", "recordId")

BATCH = 5_000
"""Findings in memory at a time of a work list; some 5 MB."""


@router.get("/{deliveryId}/findings", openapi_extra=openapi.FINDINGS)
async def list_findings(request: Request) -> Response:
    """Return what is wrong with one delivery, in the order of the report.

    CSV and NDJSON hold all findings; `limit` and `cursor` are for JSON.
    """
    service, path = service_of(request), request.path_params
    access = office_access(request, service, path["office"], may=Act.READ_REPORTS)
    if isinstance(access, Response):
        return access
    place = accepted(request, FORMS)
    form = None if place is None else FORMS[place]
    of_pages = ("limit", "cursor") if form == JSON else ()
    values = read_query(request.scope["query_string"], allowed=frozenset({*FILTERS, *of_pages}))
    wanted = _query(values)
    delivery = own_delivery(service, path)
    if delivery is None:
        return refuse(request, "not_found")
    if form is None:
        return available(request, FORMS)
    hub = service.files()
    source = Source(hub.home.findings(delivery.deliveryId), wanted, hub.register.root / ".spill")
    if form != JSON:
        return work_list(form, FINDING_FIELDS, source.batches())
    bound = bound_to(("findings", access.clientId, delivery.deliveryId), values, FILTERS)
    paging, limit = Paging(request, service, values, bound), read_limit(values)
    found = await run_in_threadpool(source.page, paging.place(int) or 0, limit + 1)
    return paging.answer(found, limit, item=lambda row: row[1], place=lambda row: row[0])


@dataclass(frozen=True, slots=True)
class Source:
    """The findings somebody wants of one delivery."""

    path: Path
    wanted: FindingQuery
    spill: Path

    def page(self, after: int, limit: int) -> list[tuple[int, Finding]]:
        """Return the next findings with their places."""
        return read_findings(self.path, self.wanted, after=after, limit=limit, temporary=self.spill)

    def batches(self) -> Iterator[list[Finding]]:
        """Yield all, ``BATCH`` at a time."""
        after = 0
        while found := self.page(after, BATCH):
            yield [row for _, row in found]
            after = found[-1][0]


def _query(values: Mapping[str, str]) -> FindingQuery:
    for name in ("ruleCode", "recordId"):
        if name in values and not 1 <= len(values[name]) <= MAX_VALUE_CHARACTERS:
            raise InvalidRequest(f"{name}: 1 to {MAX_VALUE_CHARACTERS} characters.")
    return FindingQuery(
        ruleCode=values.get("ruleCode"),
        severities=read_choices("severity", values, Severity),
        recordId=values.get("recordId"),
    )
