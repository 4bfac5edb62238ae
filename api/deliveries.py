"""An office's exchange history: what it sent, what became of it, what it decides.

The same query and the same decisions as ``iphub deliveries`` and ``iphub delivery``. What is
wrong with a delivery is ``findings``; sending one is ``packages``.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from hashlib import blake2b

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_offices as openapi
from api.answers import is_still
from api.bodies import JSON, Document, answer, read_document
from api.negotiation import accepts_json, available
from api.office_access import office_access
from api.office_parameters import read_choice, read_choices, read_date
from api.paging import Paging, bound_to
from api.parameters import read_limit, read_query
from api.problems import refuse
from api.service import Service, service_of
from connectors.between_steps import refuse_between_steps
from connectors.ledger import Access, Delivery, DeliveryEvent, DeliveryQuery
from ipregister.decision_documents import MAX_TEXT, one_line
from ipregister.deliveries import Kind, State, decided_from
from ipregister.errors import InvalidRequest, UnknownDelivery
from ipregister.model import Right
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/deliveries", tags=["Deliveries"])

FILTERS = ("right", "kind", "state", "receivedFrom", "receivedTo")

Place = tuple[dt.datetime, str]
_Decide = Callable[[Service, Access, Delivery, str], Delivery]


class Decision(Document, frozen=True):
    """Why an office decides as it does; kept in the ledger."""

    reason: str


@router.get("", openapi_extra=openapi.DELIVERIES)
async def list_deliveries(request: Request) -> Response:
    """Return the exchange history, newest first, and what in the SFTP folder is no part of it."""
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_DELIVERIES)
    if isinstance(access, Response):
        return access
    allowed = frozenset({*FILTERS, "limit", "cursor"})
    values = read_query(request.scope["query_string"], allowed=allowed)
    if not accepts_json(request):
        return available(request, [JSON])
    limit = read_limit(values)
    bound = bound_to(("deliveries", access.clientId, office), values, FILTERS)
    paging = Paging(request, service, values, bound)
    found = service.ledger.deliveries.search(_query(office, values, paging.place(Place), limit + 1))
    folder = service.ledger.contacts.get(office).folder
    return paging.answer(
        found,
        limit,
        item=lambda delivery: delivery.document(service.clock()),
        place=lambda delivery: (delivery.receivedAt, delivery.deliveryId),
        beside={"sftpFolder": folder.document()} if folder else None,
    )


@router.get("/{deliveryId}", openapi_extra=openapi.DELIVERY)
async def read_delivery(request: Request) -> Response:
    """Return one delivery with its files, its receipt and everything that happened to it."""
    service = service_of(request)
    access = office_access(request, service, request.path_params["office"], may=Act.READ_DELIVERIES)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    if not accepts_json(request):
        return available(request, [JSON])
    delivery = own_delivery(service, request.path_params)
    if delivery is None:
        return refuse(request, "not_found")
    return _show(service, delivery)


@router.post("/{deliveryId}/release", openapi_extra=openapi.DECISION)
async def release_delivery(request: Request) -> Response:
    """Let a held delivery take effect; it is published as soon as the hub comes to it."""
    return await _decide(request, _release)


@router.post("/{deliveryId}/withdraw", openapi_extra=openapi.DECISION)
async def withdraw_delivery(request: Request) -> Response:
    """Take back a delivery that is held or incomplete; the register stays as it is."""
    return await _decide(request, _withdraw)


@router.post("/{deliveryId}/revert", openapi_extra=openapi.REVERSAL)
async def revert_delivery(request: Request) -> Response:
    """Take a published delivery back; `reversal` says what that did once the hub has done it."""
    return await _decide(request, _revert)


def own_delivery(service: Service, path: Mapping[str, str]) -> Delivery | None:
    """Return the delivery a path names, if it is one of the office the path names."""
    try:
        delivery = service.ledger.deliveries.get(path["deliveryId"])
    except UnknownDelivery:
        return None
    return delivery if delivery.office == path["office"] else None


async def _decide(request: Request, decide: _Decide) -> Response:
    service = service_of(request)
    access = office_access(
        request, service, request.path_params["office"], may=Act.DECIDE_DELIVERIES
    )
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    delivery = own_delivery(service, request.path_params)
    if delivery is None:
        return refuse(request, "not_found")
    reason = read_reason((await read_document(request, Decision)).reason)
    events = service.ledger.deliveries.events(delivery.deliveryId)
    seen = request.headers.get("if-match")
    if seen is not None and not is_still(seen, _etag(delivery, events)):
        return refuse(request, "changed_meanwhile")
    return _show(service, decide(service, access, delivery, reason))


def _release(service: Service, access: Access, delivery: Delivery, reason: str) -> Delivery:
    return _end_hold(service, access, delivery, State.CHECKING, reason)


def _withdraw(service: Service, access: Access, delivery: Delivery, reason: str) -> Delivery:
    return _end_hold(service, access, delivery, State.WITHDRAWN, reason)


def _revert(service: Service, access: Access, delivery: Delivery, reason: str) -> Delivery:
    """Decide it; who processes deliveries carries it out before anything else of this right."""
    refuse_between_steps(service.files(), delivery.office, delivery.right)
    return service.ledger.reversals.decide(
        delivery.deliveryId, at=service.clock(), by=access.clientId, reason=reason
    )


def _end_hold(
    service: Service, access: Access, delivery: Delivery, to: State, reason: str
) -> Delivery:
    """Decide as the command line does; of two who decide at once one gets a conflict."""
    return service.ledger.deliveries.move(
        delivery.deliveryId,
        to,
        service.clock(),
        access.clientId,
        reason=reason,
        expected=decided_from(delivery.state, to),
    )


def _show(service: Service, delivery: Delivery) -> Response:
    events = service.ledger.deliveries.events(delivery.deliveryId)
    approval = service.ledger.purges.of(delivery.deliveryId)
    document = delivery.document(service.clock()) | {
        "purgeApproval": approval and approval.document(),
        "events": [event.document() for event in events],
    }
    return answer(document, headers={"ETag": _etag(delivery, events)})


def _etag(delivery: Delivery, events: list[DeliveryEvent]) -> str:
    """Return what changes with every step of a delivery's life."""
    seen = f"{delivery.deliveryId} {delivery.state} {len(events)}"
    return f'"{blake2b(seen.encode(), digest_size=16).hexdigest()}"'


def read_reason(given: str) -> str:
    """Return why an office decides as it does, in one line.

    Raises:
        InvalidRequest: empty, too long, or not printable.
    """
    if (reason := one_line(given)) is None:
        raise InvalidRequest(f"reason: 1 to {MAX_TEXT} printable characters.")
    return reason


def _query(
    office: str, values: Mapping[str, str], after: Place | None, limit: int
) -> DeliveryQuery:
    until = read_date("receivedTo", values)
    return DeliveryQuery(
        office=office,
        right=read_choice("right", values, Right),
        kind=read_choice("kind", values, Kind),
        states=read_choices("state", values, State),
        since=_midnight(read_date("receivedFrom", values)),
        until=_midnight(until and until + dt.timedelta(days=1)),
        after=after,
        limit=limit,
    )


def _midnight(day: dt.date | None) -> dt.datetime | None:
    return None if day is None else dt.datetime.combine(day, dt.time(), dt.UTC)
