"""What a delivery would take away, and an office's word beforehand that it may.

The same list and the same approvals as ``iphub delivery missing``, ``approve-purge``,
``withdraw-purge`` and ``purge-approvals``.
"""

import datetime as dt
import re
from itertools import chain, islice
from typing import Annotated

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_removals as openapi
from api.bodies import JSON, Document, answer, read_document
from api.deliveries import Decision, own_delivery, read_reason
from api.negotiation import accepted, accepts_json, available
from api.office_access import office_access
from api.office_parameters import read_choice
from api.paging import Paging, bound_to
from api.parameters import read_limit, read_query
from api.problems import refuse
from api.repeats import read_once
from api.service import service_of
from api.work_lists import FORMS, work_list
from connectors.hub import Hub
from connectors.missing_records import MISSING_FIELDS, Missing, missing_batches
from ipregister.model import Right
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}", tags=["Deliveries"])

MOST_RECORDS = 1_000_000_000
"""More than all offices together have; a larger number is a slip of the keyboard."""


_NUMBER = re.compile("[0-9]{1,12}")


class Announcement(Document, frozen=True):
    """One delivery of a right may remove ``upTo`` records; ``until`` is the last day (UTC)."""

    right: Right
    upTo: Annotated[int, msgspec.Meta(ge=1, le=MOST_RECORDS)]
    reason: str
    until: dt.date | None = None


@router.get("/deliveries/{deliveryId}/missing", openapi_extra=openapi.MISSING)
async def list_missing(request: Request) -> Response:
    """Return every record that would disappear with a held delivery, oldest application first.

    CSV and NDJSON hold all of them; `limit` and `cursor` are for JSON.
    """
    service, path = service_of(request), request.path_params
    access = office_access(request, service, path["office"], may=Act.READ_DELIVERIES)
    if isinstance(access, Response):
        return access
    place = accepted(request, FORMS)
    form = None if place is None else FORMS[place]
    of_pages = frozenset({"limit", "cursor"} if form == JSON else ())
    values = read_query(request.scope["query_string"], allowed=of_pages)
    delivery = own_delivery(service, path)
    if delivery is None:
        return refuse(request, "not_found")
    if form is None:
        return available(request, FORMS)
    hub = service.files()
    if form != JSON:
        return work_list(form, MISSING_FIELDS, missing_batches(hub, delivery.deliveryId))
    bound = bound_to(("missing", access.clientId, delivery.deliveryId), values, ())
    paging, limit = Paging(request, service, values, bound), read_limit(values)
    after = paging.place(int) or 0
    found = await run_in_threadpool(_page, hub, delivery.deliveryId, after, limit + 1)
    return paging.answer(
        found, limit, item=lambda row: msgspec.to_builtins(row[1]), place=lambda row: row[0]
    )


@router.get("/purge-approvals", openapi_extra=openapi.PURGE_APPROVALS)
async def list_purge_approvals(request: Request) -> Response:
    """Return announced purges, newest first, and the deliveries that used them."""
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_DELIVERIES)
    if isinstance(access, Response):
        return access
    allowed = frozenset({"right", "limit", "cursor"})
    values = read_query(request.scope["query_string"], allowed=allowed)
    if not accepts_json(request):
        return available(request, [JSON])
    right, limit = read_choice("right", values, Right), read_limit(values)
    bound = bound_to(("purge-approvals", access.clientId, office), values, ("right",))
    paging = Paging(request, service, values, bound)
    before = paging.place(int)
    found = [
        each
        for each in service.ledger.purges.list(office, right)
        if before is None or each.approvalId < before
    ]
    return paging.answer(
        found, limit, item=lambda each: each.document(), place=lambda each: each.approvalId
    )


@router.post("/purge-approvals", status_code=201, openapi_extra=openapi.APPROVE_PURGE)
async def approve_purge(request: Request) -> Response:
    """Announce a purge: one delivery may remove so many records without being held for it.

    With an `Idempotency-Key` the same request may be sent again, for a day at least: two of
    them are one approval.
    """
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.DECIDE_DELIVERIES)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    announced = await read_document(request, Announcement)
    once = read_once(request, access.clientId, ("purge-approvals", office, announced))
    approval = service.ledger.purges.approve(
        office,
        announced.right,
        up_to=announced.upTo,
        at=service.clock(),
        by=access.clientId,
        reason=read_reason(announced.reason),
        until=announced.until,
        once=once,
    )
    return answer(approval.document(), 201)


@router.post("/purge-approvals/{approvalId}/withdraw", openapi_extra=openapi.WITHDRAW_PURGE)
async def withdraw_purge(request: Request) -> Response:
    """Take an announced purge back that no delivery has used yet."""
    service, path = service_of(request), request.path_params
    access = office_access(request, service, path["office"], may=Act.DECIDE_DELIVERIES)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    number = int(path["approvalId"]) if _NUMBER.fullmatch(path["approvalId"]) else 0
    if service.ledger.purges.get(path["office"], number) is None:
        return refuse(request, "not_found")
    approval = service.ledger.purges.withdraw(
        path["office"],
        number,
        at=service.clock(),
        by=access.clientId,
        reason=read_reason((await read_document(request, Decision)).reason),
    )
    return answer(approval.document())


def _page(hub: Hub, delivery_id: str, after: int, limit: int) -> list[tuple[int, Missing]]:
    rows = chain.from_iterable(missing_batches(hub, delivery_id, after=after))
    return list(enumerate(islice(rows, limit), start=after + 1))
