"""Prepared files on the wire: whole, in parts, or handed to nginx.

Whether the client may have the file is decided before, at every request and so for every
part, and again while one is sent: who loses its authorization half way through gets no more
of it. Behind nginx (``IPHUB_ACCEL_PREFIX``) the API only decides and nginx sends, with the help
of the kernel, the whole part that it was told to.

Standards: RFC 9110 §14 (range requests), §13.1.5 (If-Range), RFC 9530 (Repr-Digest).
"""

import os
import re
from base64 import b64encode
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from api.answers import caching, matches
from api.auth import watch
from api.limits import count_rows
from api.problems import problem, refuse
from api.receipting import note
from api.service import Service
from api.streams import Piece, Streamed, goes_without_body
from connectors.exports.tasks import FILE_TYPES, SUFFIXES, Snapshot
from connectors.ledger import Access
from connectors.receipts.journal import Route
from connectors.serving.rows import classes_of
from ipregister.errors import StoreError

PIECE_BYTES = 1 << 20
"""What is read at a time: smaller costs a change of threads too often, larger only memory."""

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start`` to ``end`` (not included) of a file."""

    start: int
    end: int


def send_file(
    request: Request,
    service: Service,
    access: Access,
    found: Snapshot,
    *,
    token: bytes,
    folder: Path,
    route: Route,
) -> Response:
    """Send a prepared file to a client that may have it; the only place that does.

    ``token`` is the hash of the token that it came with, or that its address was given to.
    Every part leaves a receipt that names the file; what is in it was kept when it was made.
    """
    headers, space = _headers(found), (found.office, found.right)
    try:
        etag = _etag(found, folder if service.accel_prefix is not None else None)
    except FileNotFoundError:  # removed since its manifest was read
        return refuse(request, "snapshot_expired")
    own = {"ETag": etag, "Accept-Ranges": "bytes"}
    if (known := request.headers.get("if-none-match")) and matches(known, etag):
        return Response(None, 304, headers | own)
    part = _part(request, found, etag)
    if part is None:
        return problem(
            *(request, 416, "range_not_satisfiable", "Range not satisfiable"),
            f"The file has {found.bytes} bytes.",
            headers={"Content-Range": f"bytes */{found.bytes}"},
        )
    if service.accel_prefix is not None:
        note(request, service, access, route, space, snapshot=found.sha256)
        _count(request, found, part)
        accel = {"X-Accel-Redirect": f"{service.accel_prefix}{found.file}"}
        return Response(None, 200, headers | accel)  # nginx says the others itself
    headers |= own
    headers["Content-Length"] = str(part.end - part.start)
    whole = part == Part(0, found.bytes)
    if not whole:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{found.bytes}"
    try:
        opened = os.open(folder / found.file, os.O_RDONLY)
    except FileNotFoundError:  # removed since its manifest was read
        return refuse(request, "snapshot_expired")
    try:
        note(request, service, access, route, space, snapshot=found.sha256)
    except StoreError:
        os.close(opened)
        raise
    _count(request, found, part)
    status = 200 if whole else 206
    given = replace(access.grants[space], allowed=classes_of(found.place.mask))
    is_allowed = watch(request, service, token, space, given)
    return Streamed(
        *(_Reader(opened, part), lambda _: is_allowed(), partial(os.close, opened), headers),
        status=status,
    )


def _etag(found: Snapshot, handed_over: Path | None) -> str:
    """Return the file's validator: of one that nginx sends from a folder, the one nginx makes.

    Raises:
        FileNotFoundError: it is not in the folder.
    """
    if handed_over is None:
        return f'"{found.sha256}"'
    seen = (handed_over / found.file).stat()
    return f'"{seen.st_mtime_ns // 10**9:x}-{seen.st_size:x}"'


def _count(request: Request, found: Snapshot, part: Part) -> None:
    """Count the rows of a part: its share, so that parts cost what the whole does."""
    if found.bytes and not goes_without_body(request.scope):
        count_rows(request, ceil(found.records * (part.end - part.start) / found.bytes))


def file_name(found: Snapshot) -> str:
    """Return the name a client may give the file: office, right and form."""
    return f"{found.office}-{found.right}.{SUFFIXES[found.kind]}"


def _headers(found: Snapshot) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(found.sha256)).decode()
    return caching(classes_of(found.place.mask)) | {
        "Repr-Digest": f"sha-256=:{digest}:",
        "Content-Type": FILE_TYPES[found.kind],
        "Content-Disposition": f'attachment; filename="{file_name(found)}"',
    }


def _part(request: Request, found: Snapshot, etag: str) -> Part | None:
    """Return the bytes asked for: all, unless one range is; nothing when it is outside."""
    whole = Part(0, found.bytes)
    condition = request.headers.get("if-range")
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    # Several ranges, other units and a file that is not the one begun with: the whole file.
    if asked is None or (condition is not None and condition != etag):
        return whole
    first, last = asked.groups()
    if not first and not last:
        return whole
    if not first:
        length = min(int(last), found.bytes)
        return Part(found.bytes - length, found.bytes) if length else None
    start = int(first)
    end = min(int(last) + 1, found.bytes) if last else found.bytes
    if last and int(last) < start:
        return whole  # not a range at all
    return Part(start, end) if start < found.bytes else None


class _Reader:
    """Reads a part of an open file piece by piece."""

    def __init__(self, opened: int, part: Part) -> None:
        self._opened, self._at, self._end = opened, part.start, part.end

    def __call__(self) -> Piece | None:
        data = os.pread(self._opened, min(PIECE_BYTES, self._end - self._at), self._at)
        self._at += len(data)
        return Piece(data) if data else None
