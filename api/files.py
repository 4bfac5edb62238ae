"""Large files, sent in as many requests as the line allows, then named in a package.

A client announces a file (name, length, SHA-256) and gets an address to put bytes at. The
address is unguessable, holds for ten minutes and only together with the client's own token:
who sees it in a log can do nothing with it. Announcing the same file again gives a fresh
address of the same file, so an upload may last longer than any address or token.

Standards: RFC 9110 §14.4 (Content-Range); the offset headers are those of tus 1.0.
"""

import re
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import openapi_offices as openapi
from api.auth import authenticate
from api.bodies import Document, answer, read_document, refuse_encoding
from api.digests import check_digests, declared_digests
from api.package_bodies import clean_name, too_long
from api.parameters import read_query
from api.problems import problem, refuse
from api.service import Service, service_of
from connectors.faults import reach
from connectors.hub import Hub
from connectors.ledger import Access, Upload, UploadState
from connectors.pushed import Pushed
from ipregister.errors import ContentMismatch, InvalidRequest, LedgerConflict
from ipregister.instants import instant
from ipregister.roles import Act

router = APIRouter(prefix="/v1/files", tags=["Files"])

LIFETIME = timedelta(minutes=10)
"""Of an address; as long as a token."""

_SHA256 = re.compile("[0-9a-f]{64}")
_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")


class Announcement(Document, frozen=True):
    """What a client is going to send."""

    name: str
    sha256: str
    bytes: int


@router.post("/upload-urls", status_code=201, openapi_extra=openapi.UPLOAD_URL)
async def announce_file(request: Request) -> Response:
    """Announce a file and get an address to put it at; again, a fresh one of the same file."""
    service = service_of(request)
    access = _pusher(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    told = await read_document(request, Announcement)
    limit = service.files().settings.max_package_bytes
    if not _SHA256.fullmatch(told.sha256):
        raise InvalidRequest("sha256: the SHA-256 of the file, 64 hexadecimal digits, lower case.")
    if told.bytes < 1:
        raise InvalidRequest("bytes: the length of the file, at least 1.")
    if told.bytes > limit:
        raise too_long(limit)
    at = service.clock()
    upload = service.ledger.uploads.announce(
        access.clientId,
        str(access.office),
        name=clean_name(told.name),
        sha256=told.sha256,
        bytes=told.bytes,
        at=at,
    )
    expires = at + LIFETIME
    ticket = service.cursors.seal(expires.isoformat().encode(), _bound_to(upload))
    address = f"/v1/files/{upload.fileId}/content?ticket={ticket}"
    upload = await _judge_left(service, upload)
    document = _document(service.files(), upload) | {
        "uploadUrl": service.public_url + address,
        "expiresAt": instant(expires),
    }
    return answer(document, 201, {"Location": f"/v1/files/{upload.fileId}"})


@router.get("/{fileId}", openapi_extra=openapi.FILE)
async def read_file(request: Request) -> Response:
    """Return where a file stands: how much of it is here, whether it is what was announced."""
    service = service_of(request)
    access = _pusher(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    upload = service.ledger.uploads.find(request.path_params["fileId"])
    if upload is None or upload.office != access.office:
        return refuse(request, "not_found")
    return _show(service, await _judge_left(service, upload))


@router.get("/{fileId}/content", openapi_extra=openapi.FILE_OFFSET)
async def read_offset(request: Request) -> Response:
    """Return how many bytes are here (`Upload-Offset`): go on from there."""
    service = service_of(request)
    upload = _addressed(request, service)
    if isinstance(upload, Response):
        return upload
    return _show(service, await _judge_left(service, upload))


@router.put("/{fileId}/content", openapi_extra=openapi.FILE_CONTENT)
async def put_content(request: Request) -> Response:
    """Send the file, or with `Content-Range` the part of it that comes next.

    What arrived stays when the line breaks. The last byte is answered with the verdict:
    `validated`, or `rejected` when it is not the file that was announced.
    """
    service = service_of(request)
    upload = _addressed(request, service)
    if isinstance(upload, Response):
        return upload
    if upload.state is not UploadState.RECEIVING:
        return _show(service, upload)  # the answer to the last part was lost: nothing to do
    refuse_encoding(request)
    start, end = _range(request, upload)
    landing = service.files().landing
    with landing.resuming(upload.part) as pushed:
        if "content-range" not in request.headers:
            pushed.cut(0)
        if start != pushed.bytes:
            return _wrong_offset(request, pushed.bytes)
        await _take(request, pushed, end)
        if pushed.bytes < upload.bytes:
            await run_in_threadpool(pushed.settle)
        else:
            upload = await run_in_threadpool(_finish, service, upload, pushed)
    return _show(service, upload)


async def _take(request: Request, pushed: Pushed, end: int) -> None:
    """Add one request's bytes.

    Raises:
        ContentMismatch: more bytes, or others, than were declared for this request.
        InvalidRequest: the body broke off; what came is kept.
    """
    declared, start = declared_digests(request), pushed.bytes
    digest = sha256() if declared else None
    try:
        async for chunk in request.stream():
            if pushed.bytes + len(chunk) > end:
                raise ContentMismatch("More bytes came than you said; ask for the offset.")
            pushed.append(chunk)
            if digest is not None:
                digest.update(chunk)
    except ClientDisconnect:
        pushed.settle()
        raise InvalidRequest("The body broke off; ask for the offset and go on there.") from None
    if digest is not None:
        try:
            check_digests(declared, digest.hexdigest())
        except ContentMismatch:
            pushed.cut(start)
            raise


def _finish(service: Service, upload: Upload, pushed: Pushed) -> Upload:
    """Give the verdict on a file that is all here."""
    uploads, at = service.ledger.uploads, service.clock()
    if (found := pushed.sha256()) != upload.sha256:
        pushed.path.unlink(missing_ok=True)
        reason = f"The file has the SHA-256 {found}, not the announced one. Announce it again."
        return uploads.finish(upload.fileId, UploadState.REJECTED, at=at, reason=reason)
    service.files().landing.keep(pushed)
    reach("upload.kept")
    pushed.path.unlink(missing_ok=True)  # stays where landing had these bytes already
    return uploads.finish(upload.fileId, UploadState.VALIDATED, at=at)


async def _judge_left(service: Service, upload: Upload) -> Upload:
    """Give the verdict that a server owed when it was stopped: nothing is left to be sent."""
    here = service.files().landing.part_bytes(upload.part)
    if upload.state is not UploadState.RECEIVING or here < upload.bytes:
        return upload
    return await run_in_threadpool(_finish_left, service, upload)


def _finish_left(service: Service, upload: Upload) -> Upload:
    with (
        suppress(LedgerConflict),  # the request that sent the last part is just giving it
        service.files().landing.resuming(upload.part) as pushed,
    ):
        if pushed.bytes == upload.bytes:
            return _finish(service, upload, pushed)
    return upload


def _pusher(request: Request, service: Service) -> Access | Response:
    """Return a client that pushes for an office; to others there are no files."""
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    if access.office is None:
        return refuse(request, "not_found")
    return access if access.may_do(Act.PUSH) else refuse(request, "forbidden")


def _addressed(request: Request, service: Service) -> Upload | Response:
    """Return the upload of an address that holds, for the client it was given to."""
    access = _pusher(request, service)
    if isinstance(access, Response):
        return access
    values = read_query(request.scope["query_string"], allowed=frozenset({"ticket"}))
    upload = service.ledger.uploads.find(request.path_params["fileId"])
    if upload is None or upload.clientId != access.clientId:
        return refuse(request, "not_found")
    try:
        sealed = service.cursors.open(values.get("ticket", ""), _bound_to(upload))
    except InvalidRequest:
        return refuse(request, "not_found")
    if datetime.fromisoformat(sealed.decode()) <= service.clock():
        detail = "This address is over. POST /v1/files/upload-urls again: you go on where you are."
        return problem(request, 403, "address_expired", "Address expired", detail)
    return upload


def _range(request: Request, upload: Upload) -> tuple[int, int]:
    """Return where a request's bytes begin and end in the file.

    Raises:
        InvalidRequest: the header is no range of this file.
    """
    header = request.headers.get("content-range")
    if header is None:
        return 0, upload.bytes
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise InvalidRequest("Content-Range: write bytes FIRST-LAST/LENGTH.")
    first, last, length = (int(number) for number in found.groups())
    if length != upload.bytes or not first <= last < length:
        raise InvalidRequest(f"Content-Range: not a range of a file of {upload.bytes} bytes.")
    return first, last + 1


def _wrong_offset(request: Request, offset: int) -> Response:
    return problem(
        request,
        409,
        "wrong_offset",
        "Wrong offset",
        f"{offset} bytes are here; go on from there.",
        headers={"Upload-Offset": str(offset)},
    )


def _show(service: Service, upload: Upload) -> Response:
    document = _document(service.files(), upload)
    headers = {"Upload-Offset": str(document["offset"]), "Upload-Length": str(upload.bytes)}
    return answer(document, headers=headers)


def _document(hub: Hub, upload: Upload) -> dict[str, object]:
    here = hub.landing.part_bytes(upload.part)
    offset = {UploadState.VALIDATED: upload.bytes, UploadState.REJECTED: 0}
    return {
        "fileId": upload.fileId,
        "office": upload.office,
        "name": upload.name,
        "sha256": upload.sha256,
        "bytes": upload.bytes,
        "offset": offset.get(upload.state, here),
        "state": upload.state,
        "reason": upload.reason,
    }


def _bound_to(upload: Upload) -> tuple[str, ...]:
    return ("upload", upload.clientId, upload.fileId)
