"""What became of something that takes its time: a package an office pushed, a file to prepare.

A job is the delivery, told as the exchange conventions tell it: the identifier exists before
anything was checked, and a final status never changes again.
"""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_offices as openapi
from api.auth import authenticate
from api.bodies import JSON, answer
from api.exports import PREFIX, cancel_export, export_job
from api.negotiation import accepts_json, available
from api.parameters import read_query
from api.problems import refuse
from api.service import Service, service_of
from connectors.ledger import Access, Delivery
from ipregister.deliveries import State
from ipregister.errors import UnknownDelivery
from ipregister.instants import instant
from ipregister.roles import Act

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"])

STATUSES = {
    State.RECEIVED: "RECEIVED",
    State.INCOMPLETE: "RECEIVED",
    State.CHECKING: "IN_PROGRESS",
    State.HELD: "HELD",
    State.PUBLISHED: "IMPORTED",
    State.PUBLISHED_WITH_FINDINGS: "IMPORTED",
    State.REJECTED: "REJECTED",
    State.DUPLICATE: "DUPLICATE",
    State.WITHDRAWN: "WITHDRAWN",
    State.TEST_ONLY: "TESTED",
}
"""Words of the Hague services' package import where they have one."""

OPEN = frozenset({"RECEIVED", "IN_PROGRESS"})

PROGRESS = {"RECEIVED": 0, "IN_PROGRESS": 50}
"""Percent by steps: arrived, being checked, decided. How far within one is not known before the
delivery is read, so nothing finer is told."""

RETRY_SECONDS = 5


@router.get("/{jobId}", openapi_extra=openapi.JOB)
async def read_job(request: Request) -> Response:
    """Return where a job stands; ask again after `Retry-After` until the status is final."""
    service = service_of(request)
    access = _asking(request, service)
    if isinstance(access, Response):
        return access
    if (job_id := request.path_params["jobId"]).startswith(PREFIX):
        return export_job(request, service, access, job_id)
    delivery = _delivery(request, service, access, job_id)
    if isinstance(delivery, Response):
        return delivery
    document = job_document(service, delivery)
    headers = {"Retry-After": str(RETRY_SECONDS)} if document["status"] in OPEN else {}
    return answer(document, headers=headers)


@router.delete("/{jobId}", status_code=202, openapi_extra=openapi.CANCEL_JOB)
async def cancel_job(request: Request) -> Response:
    """Cancel an export that is not ready yet; asked for again it begins anew.

    A job that is finished is not cancelled (`409`), nor is a package: withdraw its delivery.
    """
    service = service_of(request)
    access = _asking(request, service)
    if isinstance(access, Response):
        return access
    if (job_id := request.path_params["jobId"]).startswith(PREFIX):
        return await cancel_export(request, service, access, job_id)
    delivery = _delivery(request, service, access, job_id)
    return delivery if isinstance(delivery, Response) else refuse(request, "withdraw_instead")


def _asking(request: Request, service: Service) -> Access | Response:
    """Return who asks, in JSON and without parameters, or the refusal."""
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    return access if accepts_json(request) else available(request, [JSON])


def _delivery(
    request: Request, service: Service, access: Access, job_id: str
) -> Delivery | Response:
    """Return the delivery a job is, or the refusal to who may not ask about it."""
    try:
        delivery = service.ledger.deliveries.get(job_id)
    except UnknownDelivery:
        return refuse(request, "not_found")
    if access.office is None or delivery.office != access.office:
        return refuse(request, "not_found")
    # Who may push may also ask what became of it, whatever else the token is for.
    if not access.may_do(Act.READ_DELIVERIES) and not access.may_do(Act.PUSH):
        return refuse(request, "forbidden")
    return delivery


def job_path(delivery_id: str) -> str:
    """Return where to ask about a pushed delivery."""
    return f"/v1/jobs/{delivery_id}"


def job_document(service: Service, delivery: Delivery) -> dict[str, object]:
    """Return a delivery as a job."""
    events = service.ledger.deliveries.events(delivery.deliveryId)
    mine = f"{service.public_url}/v1/offices/{delivery.office}"
    at = f"{mine}/deliveries/{delivery.deliveryId}"
    refused = delivery.state in (State.REJECTED, State.HELD)
    return {
        "jobId": delivery.deliveryId,
        "deliveryId": delivery.deliveryId,
        "status": (status := STATUSES[delivery.state]),
        "progress": PROGRESS.get(status, 100),
        "state": delivery.state,
        "reason": delivery.reason,
        "createdDateTime": instant(delivery.receivedAt),
        "updatedDateTime": instant(events[-1].at),
        "receipt": delivery.document()["receipt"],
        "errors": [{"code": delivery.state, "message": delivery.reason}] if refused else [],
        "links": {
            "delivery": at,
            "findings": f"{at}/findings",
            "qualityReports": f"{mine}/quality-reports",
        },
    }
