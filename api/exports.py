"""Bulk: a client asks for a file, waits for its job, and fetches the snapshot.

Identifiers of jobs and snapshots are sealed for one client and say inside what they are of;
nothing is stored about who asked. What a client may have is looked up at every request: a
snapshot made for wider rights than its client has now is not there any more.
"""

from datetime import datetime

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_exports as openapi
from api.auth import authenticate, token_hash
from api.bodies import Document, answer, read_document
from api.direct import DirectRoute
from api.parameters import SEARCH, filter_classes, read_filters, read_query
from api.prepared_files import file_name, send_file
from api.problems import REFUSALS, refuse
from api.repeats import read_once
from api.service import Service, service_of
from connectors.exports.formats import Format
from connectors.exports.preparing import Exports
from connectors.exports.snapshots import RETENTION
from connectors.exports.tasks import FILE_TYPES, PREPARED, Snapshot, Task
from connectors.ledger import Access
from connectors.receipts.journal import Route
from ipregister.errors import InvalidRequest
from ipregister.model import Right

router = APIRouter(prefix="/v1", tags=["Bulk"], route_class=DirectRoute)

PREFIX = "export-"
"""Begins the identifier of a job of this kind."""

RETRY_SECONDS = 2


class ExportRequest(Document, frozen=True):
    """What a client wants: the records it would page through with these filters, as a file."""

    office: str
    right: str
    format: str = Format.PARQUET
    filters: dict[str, str | int | list[str | int]] = msgspec.field(default_factory=dict)


@router.post("/exports", status_code=202, openapi_extra=openapi.EXPORT)
async def create_export(request: Request) -> Response:
    """Have a file prepared; the answer says where to ask for it.

    The same request gives the same job for as long as nothing you may see has changed. With an
    `Idempotency-Key` it gives the same job in any case, for a day at least.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    if (exports := service.exports) is None:
        return refuse(request, "not_found")
    if not access.may("exports:create"):
        return refuse(request, "forbidden")
    read_query(request.scope["query_string"], allowed=frozenset())
    asked = await read_document(request, ExportRequest)
    once = read_once(request, access.clientId, ("exports", asked))
    right = next((right for right in Right if right == asked.right), None)
    grant = None if right is None else access.grants.get((asked.office, right))
    if right is None or grant is None:
        return refuse(request, "not_found")
    kind = next((kind for kind in PREPARED if kind == asked.format), None)
    if kind is None:
        raise InvalidRequest(f"format: one of {', '.join(PREPARED)}.")
    classes = filter_classes(right)
    if unknown := asked.filters.keys() - classes.keys():
        known = ", ".join(sorted(classes))
        raise InvalidRequest(f"filters: {len(unknown)} unknown. Known here: {known}.")
    searched = SEARCH in asked.filters and not grant.freeText
    if searched or any(classes[name] not in grant.allowed for name in asked.filters):
        return refuse(request, "field_not_available")
    filters = read_filters({name: _words(value) for name, value in asked.filters.items()}, right)
    place = service.serving.place(asked.office, right, grant)
    task = Task(asked.office, right, place, kind, filters)
    if once is not None:
        job = _sealed(service, access, "export", task)
        was = await run_in_threadpool(service.ledger.repeats.before, once, job, service.clock())
        if was is not None:
            before = _open(service, access, "export", was)
            if before is None or not may_have(service, access, before):
                return refuse(request, "not_found")
            if exports.state(before, access.clientId) == "CANCELLED":
                return _accepted(service, exports, access, before)
            task = before
    if not await run_in_threadpool(exports.ask, task, access.clientId, service.clock()):
        return refuse(request, "busy", headers={"Retry-After": "60"})
    return _accepted(service, exports, access, task)


def export_job(request: Request, service: Service, access: Access, job_id: str) -> Response:
    """Return where an export stands; its files when it is done."""
    task = _open(service, access, "export", job_id.removeprefix(PREFIX))
    exports = service.exports
    if task is None or exports is None or not may_have(service, access, task):
        return refuse(request, "not_found")
    document = _job(service, exports, access, task)
    waits = document["status"] in ("RECEIVED", "IN_PROGRESS")
    return answer(document, headers={"Retry-After": str(RETRY_SECONDS)} if waits else {})


async def cancel_export(
    request: Request, service: Service, access: Access, job_id: str
) -> Response:
    """Give up a file that is not ready; who else wants the same gets it nevertheless."""
    task = _open(service, access, "export", job_id.removeprefix(PREFIX))
    exports = service.exports
    if task is None or exports is None or not may_have(service, access, task):
        return refuse(request, "not_found")
    if not access.may("exports:create"):
        return refuse(request, "forbidden")
    given_up = exports.store.cancel
    if not await run_in_threadpool(given_up, task.key, access.clientId, service.clock()):
        return refuse(request, "job_finished")
    return _accepted(service, exports, access, task)


@router.get("/snapshots/{snapshotId}", openapi_extra=openapi.SNAPSHOT)
async def read_snapshot(request: Request) -> Response:
    """Return a prepared file: the same bytes for as long as it is kept.

    Ranges resume a transfer; your authorization is looked at for every one of them.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    task = _open(service, access, "snapshot", request.scope["path_params"]["snapshotId"])
    exports = service.exports
    if task is None or exports is None or not may_have(service, access, task):
        return refuse(request, "not_found")
    found = exports.snapshot(task.key)
    if found is None:
        return refuse(request, "snapshot_expired")
    return send_file(
        *(request, service, access, found),
        token=token_hash(request),
        folder=exports.store.files,
        route=Route.SNAPSHOT,
    )


_WHY = {
    "export_failed": "The file could not be made. Ask for a new export, which tries again.",
    "snapshot_expired": REFUSALS["snapshot_expired"][2],
}
"""What a job without a file says of it: nobody could make it, or it is no longer kept."""


def may_have(service: Service, access: Access, task: Task) -> bool:
    """Tell whether a client may see everything that is in a file now.

    It was made of this office, right and view, whatever number their space has in a store that
    was made anew since.
    """
    grant = access.grants.get((task.office, task.right))
    if grant is None:
        return False
    now = service.serving.place(task.office, task.right, grant)
    # Where nothing is published there is no view, and nothing says which one is the client's.
    here = (bool(now.space), now.view) == (bool(task.place.space), task.place.view)
    return here and not task.place.mask & ~now.mask


def _accepted(service: Service, exports: Exports, access: Access, task: Task) -> Response:
    document = _job(service, exports, access, task)
    return answer(document, 202, {"Location": f"/v1/jobs/{document['jobId']}"})


def _job(service: Service, exports: Exports, access: Access, task: Task) -> dict[str, object]:
    wish = exports.store.wish(task.key, access.clientId)
    document: dict[str, object] = {
        "jobId": PREFIX + _sealed(service, access, "export", task),
        "status": (status := exports.state(task, access.clientId)),
        "progress": exports.store.progress(task.key) if status == "IN_PROGRESS" else 0,
    }
    if wish is not None:
        document["createdDateTime"] = _instant(wish.at)
        document["updatedDateTime"] = _instant(wish.cancelledAt or wish.at)
    if status != "CANCELLED" and (found := exports.snapshot(task.key)) is not None:
        sealed = _sealed(service, access, "snapshot", task)
        # Made for somebody else before this client wanted it, it is ready since then.
        ready = found.at if wish is None else max(found.at, wish.at)
        document |= {
            "status": "COMPLETED",
            "progress": 100,
            "updatedDateTime": _instant(ready),
            "expiresDateTime": _instant(found.at + RETENTION),
            "downloads": [_download(service, found, sealed)],
        }
    elif status == "FAILED":
        code = "export_failed" if exports.store.has_failed(task.key) else "snapshot_expired"
        document["errors"] = [{"code": code, "message": _WHY[code]}]
    return document


def _download(service: Service, found: Snapshot, sealed: str) -> dict[str, object]:
    return {
        "url": f"{service.public_url}/v1/snapshots/{sealed}",
        "snapshotId": sealed,
        "fileName": file_name(found),
        "mediaType": FILE_TYPES[found.kind],
        "bytes": found.bytes,
        "sha256": found.sha256,
        "records": found.records,
    }


def _sealed(service: Service, access: Access, kind: str, task: Task) -> str:
    """Return an identifier that only this client can use."""
    return service.cursors.seal(msgspec.json.encode(task), (kind, access.clientId))


def _open(service: Service, access: Access, kind: str, sealed: str) -> Task | None:
    """Return what an identifier is of; nothing for one that is not this client's."""
    try:
        content = service.cursors.open(sealed, (kind, access.clientId))
    except InvalidRequest:
        return None
    return msgspec.json.decode(content, type=Task)


def _words(value: str | int | list[str | int]) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
