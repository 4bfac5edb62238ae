"""An office pushes a package: bytes in, a job to ask about out.

The same as dropping files into the office's SFTP folder or ``iphub submit``: what arrives is
recorded as one delivery and waits for Dagster. Nothing is read or checked here.
"""

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import openapi_offices as openapi
from api.bodies import answer
from api.jobs import STATUSES, job_path
from api.office_access import office_access
from api.office_parameters import read_choice
from api.package_bodies import receive_files
from api.parameters import read_query
from api.problems import refuse
from api.redistribution import RIGHTS
from api.repeats import read_key
from api.service import Service, service_of
from connectors.faults import reach
from connectors.ledger import Channel, Delivery
from connectors.submitting import Package, check_lane, submit
from ipregister.deliveries import Kind
from ipregister.errors import InvalidRequest
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/{right}/packages", tags=["Packages"])


@router.post("", status_code=202, openapi_extra=openapi.PACKAGE)
async def push_package(request: Request) -> Response:
    """Take a package in; it is processed as one delivery, in its turn.

    With an `Idempotency-Key` the same request may be sent again, for a day at least: it takes
    effect once and gets the same answer.
    """
    service, path = service_of(request), request.path_params
    access = office_access(request, service, path["office"], may=Act.PUSH)
    if isinstance(access, Response):
        return access
    right = RIGHTS.get(path["right"])
    if right is None:
        return refuse(request, "not_found")
    values = read_query(request.scope["query_string"], allowed=frozenset({"kind", "name"}))
    kind = read_choice("kind", values, Kind)
    if kind is None:
        raise InvalidRequest(f"kind: say what it is, one of {', '.join(Kind)}.")
    check_lane(path["office"], right)
    key = read_key(request)
    try:
        files = await receive_files(
            request, service.files(), office=path["office"], name=values.get("name")
        )
    except ClientDisconnect:
        raise InvalidRequest("The body broke off; nothing was taken. Send it again.") from None
    reach("push.landed")
    package = Package(path["office"], right, kind, Channel.API, files)
    delivery = await run_in_threadpool(
        submit,
        service.ledger,
        package,
        at=service.clock(),
        by=access.clientId,
        client_id=access.clientId,
        key=key,
    )
    reach("push.recorded")
    return _accepted(service, delivery)


def _accepted(service: Service, delivery: Delivery) -> Response:
    """Return the answer to a push; to the same request again, the same bytes."""
    arrived = service.ledger.deliveries.events(delivery.deliveryId)[0]
    document = {
        "jobId": delivery.deliveryId,
        "status": STATUSES[arrived.state],
        "deliveryId": delivery.deliveryId,
        "files": [
            {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}
            for file in delivery.files
        ],
    }
    return answer(document, 202, {"Location": job_path(delivery.deliveryId)})
