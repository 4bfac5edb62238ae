"""The files of a pushed package, from whatever body they come in, on their way to landing.

One file is the body itself; several are ``multipart/form-data``; files that were sent before
are named by a JSON document. Bytes go to disk as they come, with a running SHA-256: memory
does not grow with the body. Chunks are written where they are received: handing each to a
thread costs more than the write.
"""

import re
from contextlib import ExitStack
from email.message import Message
from hashlib import sha256
from pathlib import PurePosixPath

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request

from api.bodies import JSON, Document, media_type, read_document, refuse_encoding
from api.digests import check_digests, declared_digests
from api.multipart import Begin, Multipart
from connectors.hub import Hub
from connectors.landing import Landing
from connectors.ledger import DeliveredFile, UploadState
from connectors.pushed import Pushed
from ipregister.errors import InvalidRequest, OversizedDelivery, UnsupportedMedia

MULTIPART = "multipart/form-data"
EXTENSIONS = {
    "application/zip": "zip",
    "application/x-zip-compressed": "zip",
    "application/xml": "xml",
    "text/xml": "xml",
    JSON: "json",
    "text/csv": "csv",
    "application/octet-stream": "",
    "": "",
}
"""What one file may be said to be, and how its name ends when it has none: what it is, its first
bytes tell."""

MAX_NAME = 255
MAX_FILES = 1_000

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")


class SentBefore(Document, frozen=True):
    """Files that were uploaded before, in the order in which they make one delivery."""

    fileIds: list[str]


async def receive_files(
    request: Request, hub: Hub, *, office: str, name: str | None
) -> tuple[DeliveredFile, ...]:
    """Return the files of one package, which are in landing by then.

    Args:
        request: its body is read here.
        hub: where landing and the list of uploaded files are.
        office: whose package it is.
        name: the file's name from the query, if it is there.

    Raises:
        UnsupportedMedia: a form or an encoding the hub does not take.
        OversizedDelivery: more than the hub takes at once.
        ContentMismatch: not the bytes that were declared.
        InvalidRequest: no file, a name that is none, or files that are not there.
    """
    refuse_encoding(request)
    limit = hub.settings.max_package_bytes
    refuse_length(request, limit)
    kind = media_type(request)
    named = name or _disposition(request)
    if kind == MULTIPART:
        if name is not None:
            raise InvalidRequest("name: each file of a multipart body has its own name.")
        return await _several(request, hub.landing, limit)
    if kind == JSON and named is None:
        return sent_before(hub, (await read_document(request, SentBefore)).fileIds, office)
    if kind not in EXTENSIONS:
        raise UnsupportedMedia(
            f"Send one file as {', '.join(filter(None, EXTENSIONS))}, or several as {MULTIPART}."
        )
    clean = clean_name(named or f"package.{EXTENSIONS[kind]}".rstrip("."))
    return (await _one(request, hub.landing, clean, limit),)


def refuse_length(request: Request, limit: int) -> None:
    """Refuse a body that says itself that it is too long.

    Raises:
        OversizedDelivery: more than ``limit`` bytes are announced.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
        raise too_long(limit)


def too_long(limit: int) -> OversizedDelivery:
    """Return the error for a body beyond the limit."""
    return OversizedDelivery(
        f"This hub takes at most {limit} bytes at once. Split the extraction into several files "
        "and push them as one delivery with fileIds."
    )


def clean_name(name: str) -> str:
    """Return a file name: no folders, nothing that cannot be seen.

    Raises:
        InvalidRequest: nothing is left, or it is too long.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    if not last or len(last) > MAX_NAME or not _NAME.fullmatch(last) or last in (".", ".."):
        raise InvalidRequest(
            f"Name the file, such as KH_Trademarks_20261122.zip, in 1 to {MAX_NAME} characters: "
            "?name= or Content-Disposition."
        )
    return last


def sent_before(hub: Hub, file_ids: list[str], office: str) -> tuple[DeliveredFile, ...]:
    """Return files that were uploaded before.

    Raises:
        InvalidRequest: one of them is not a validated file of this office.
    """
    if not 1 <= len(file_ids) <= MAX_FILES or len(set(file_ids)) != len(file_ids):
        raise InvalidRequest(f"fileIds: 1 to {MAX_FILES} different files.")
    found = {upload.fileId: upload for upload in hub.ledger.uploads.find_all(file_ids)}
    for place, name in enumerate(file_ids):
        upload = found.get(name)
        # Another office's file reads as one that was never announced.
        if upload is None or upload.office != office or upload.state is not UploadState.VALIDATED:
            raise InvalidRequest(
                f"fileIds: file {place + 1} is not there, not complete, or was rejected. "
                "GET /v1/files/{fileId} says which."
            )
    files = (found[name] for name in file_ids)
    return tuple(DeliveredFile(file.name, file.sha256, file.bytes) for file in files)


async def _one(request: Request, landing: Landing, name: str, limit: int) -> DeliveredFile:
    declared = declared_digests(request)
    with landing.receiving() as pushed:
        async for chunk in request.stream():
            append(pushed, chunk, limit)
        if not pushed.bytes:
            raise InvalidRequest("The body is empty. Send the file as the body.")
        check_digests(declared, pushed.sha256())
        # The wait for the disk is not other clients' wait.
        landed = await run_in_threadpool(landing.keep, pushed)
    return DeliveredFile(name, landed.sha256, landed.bytes)


def append(pushed: Pushed, chunk: bytes, limit: int) -> None:
    """Add what came, within the limit.

    Raises:
        OversizedDelivery: it is more than ``limit`` bytes by now.
    """
    if pushed.bytes + len(chunk) > limit:
        raise too_long(limit)
    pushed.append(chunk)


async def _several(request: Request, landing: Landing, limit: int) -> tuple[DeliveredFile, ...]:
    declared = declared_digests(request)
    parser = Multipart(request.headers["content-type"])
    whole = sha256() if declared else None
    files: list[tuple[str, Pushed]] = []
    left = limit
    with ExitStack() as lent:
        async for chunk in request.stream():
            if whole is not None:
                whole.update(chunk)
            left -= len(chunk)
            if left < 0:
                raise too_long(limit)
            for event in parser.feed(chunk):
                if isinstance(event, Begin):
                    name = clean_name(event.name)
                    files.append((name, lent.enter_context(landing.receiving())))
                elif isinstance(event, bytes):
                    files[-1][1].append(event)
        parser.finish()
        if not files or not all(pushed.bytes for _, pushed in files):
            raise InvalidRequest("The body has no file, or an empty one.")
        if whole is not None:
            check_digests(declared, whole.hexdigest())
        # Kept when all are here: a body that breaks off leaves nothing.
        landed = [(name, await run_in_threadpool(landing.keep, pushed)) for name, pushed in files]
    return tuple(DeliveredFile(name, file.sha256, file.bytes) for name, file in landed)


def _disposition(request: Request) -> str | None:
    """Return the file name of ``Content-Disposition``, if there is one (RFC 6266)."""
    header = request.headers.get("content-disposition")
    if header is None:
        return None
    message = Message()
    message["content-disposition"] = header.encode("latin-1").decode("utf-8", "replace")
    return message.get_filename()
