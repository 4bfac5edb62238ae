"""Delta Sharing: pandas, Spark and others read prepared Parquet with the client's own credentials.

A share is an office, its only schema ``register``, a table a right; there is exactly what the
client's grants open. A table has one file, made for what this client may see. Addresses of
files are short-lived and sealed for the token they were given to; whoever uses one is looked
up again, so a revoked or narrowed client gets nothing more.

Standard: Delta Sharing protocol (delta-io/delta-sharing, PROTOCOL.md), without change feeds:
``GET /v1/changes`` tells more.
"""

import asyncio
from datetime import timedelta

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_exports as openapi
from api.addresses import caller
from api.auth import authenticate, token_hash
from api.bodies import HEADERS, Document, answer, read_document
from api.exports import may_have
from api.limits import admit
from api.parameters import read_query
from api.prepared_files import send_file
from api.problems import refuse
from api.service import service_of
from connectors.exports import delta
from connectors.exports.formats import Format
from connectors.exports.preparing import Exports
from connectors.exports.store import HUB
from connectors.exports.tasks import Snapshot, Task
from connectors.ledger import Access
from connectors.receipts.journal import Route
from ipregister.errors import InvalidRequest
from ipregister.model import Right

router = APIRouter(prefix="/delta-sharing", tags=["Delta Sharing"])

SCHEMA = "register"
BASE = "/shares/{share}/schemas/{schema}/tables/{table}"

ADDRESS_LIFE = timedelta(minutes=10)
"""How long the address of a file is good; never longer than the token it was given to."""

PATIENCE_SECONDS, LOOK_SECONDS = 25.0, 0.1
"""How long a query waits for its file (a million records take about that), and how often it
looks. A client that is told 503 asks again by itself."""

AGAIN = 10
"""Looks between two at whether anybody prepares it: a second."""


DECISION = 1 << 44
"""What a decision adds to versions: more than a place's number, five counts of milliseconds."""


class FileAddress(msgspec.Struct, frozen=True, array_like=True):
    """What the address of a file says inside."""

    token: bytes
    task: Task
    expires: int


class Query(Document, frozen=True, forbid_unknown_fields=False):
    """A query; hints are hints, and what is not served is refused."""

    version: int | None = None
    timestamp: str | None = None
    startingVersion: int | None = None
    endingVersion: int | None = None


@router.get("/shares", openapi_extra=openapi.DELTA_SHARES)
async def list_shares(request: Request) -> Response:
    """Return the offices that share something with you."""
    access = _caller(request)
    if isinstance(access, Response):
        return access
    shares = sorted({office for office, _ in access.grants})
    return _page(request, access, [{"name": office, "id": office} for office in shares])


@router.get("/shares/{share}", openapi_extra=openapi.DELTA_SHARE)
async def read_share(request: Request) -> Response:
    """Return one share."""
    opened = _share(request)
    if isinstance(opened, Response):
        return opened
    _, share, _ = opened
    read_query(request.scope["query_string"], allowed=frozenset())
    return answer({"share": {"name": share, "id": share}})


@router.get("/shares/{share}/schemas", openapi_extra=openapi.DELTA_SCHEMAS)
async def list_schemas(request: Request) -> Response:
    """Return the only schema of a share."""
    opened = _share(request)
    if isinstance(opened, Response):
        return opened
    access, share, _ = opened
    return _page(request, access, [{"name": SCHEMA, "share": share}])


@router.get("/shares/{share}/schemas/{schema}/tables", openapi_extra=openapi.DELTA_TABLES)
async def list_tables(request: Request) -> Response:
    """Return the rights an office shares with you, as tables."""
    if request.path_params["schema"] != SCHEMA:
        access = _caller(request)
        return access if isinstance(access, Response) else refuse(request, "not_found")
    return await list_all_tables(request)


@router.get("/shares/{share}/all-tables", openapi_extra=openapi.DELTA_ALL_TABLES)
async def list_all_tables(request: Request) -> Response:
    """Return the rights an office shares with you, as tables."""
    opened = _share(request)
    if isinstance(opened, Response):
        return opened
    access, share, rights = opened
    items = [{"name": str(right), "schema": SCHEMA, "share": share} for right in rights]
    return _page(request, access, items)


@router.get(f"{BASE}/version", openapi_extra=openapi.DELTA_VERSION)
async def read_version(request: Request) -> Response:
    """Return the version of a table: it grows when something changes that you may see.

    It grows with every decision about your authorization, too.
    """
    access = _caller(request)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    task = _table(request, access)
    return refuse(request, "not_found") if task is None else _lines(_version(access, task), [])


@router.get(f"{BASE}/metadata", openapi_extra=openapi.DELTA_METADATA)
async def read_metadata(request: Request) -> Response:
    """Return the columns of a table, as far as you may see them."""
    access = _caller(request)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    task = _table(request, access)
    if task is None:
        return refuse(request, "not_found")
    return _lines(_version(access, task), [delta.PROTOCOL, delta.metadata(task)])


@router.post(f"{BASE}/query", openapi_extra=openapi.DELTA_QUERY)
async def query_table(request: Request) -> Response:
    """Return where the file of a table is; it is made first, when nobody has asked before."""
    service, access = service_of(request), _caller(request)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    task = _table(request, access)
    if task is None or (exports := service.exports) is None:
        return refuse(request, "not_found")
    asked = await read_document(request, Query)
    history = (asked.timestamp, asked.startingVersion, asked.endingVersion)
    version = _version(access, task)
    if asked.version not in (None, version) or any(part is not None for part in history):
        raise InvalidRequest("Only the present version is served here; GET /v1/changes has more.")
    found = await _prepared(exports, task)
    if found is None:
        return refuse(request, "busy", headers={"Retry-After": "5"})
    expires = service.clock() + ADDRESS_LIFE
    address = FileAddress(token_hash(request), task, int(expires.timestamp()))
    sealed = service.cursors.seal(msgspec.msgpack.encode(address), ("delta-file",))
    url = f"{service.public_url}/delta-sharing/files/{sealed}"
    lines = [delta.PROTOCOL, delta.metadata(task), delta.file_action(found, url, expires, version)]
    return _lines(version, lines)


@router.get(f"{BASE}/changes", openapi_extra=openapi.DELTA_METADATA)
async def read_table_changes(request: Request) -> Response:
    """Refuse: changes are told by `GET /v1/changes`, with their causes."""
    access = _caller(request)
    if isinstance(access, Response):
        return access
    if _table(request, access) is None:
        return refuse(request, "not_found")
    raise InvalidRequest("This table has no change feed here: follow GET /v1/changes.")


@router.get("/files/{fileToken}", openapi_extra=openapi.DELTA_FILE)
async def read_file(request: Request) -> Response:
    """Return the file of a table; the address itself is the permission, for ten minutes."""
    service = service_of(request)
    try:
        sealed = request.path_params["fileToken"]
        content = service.cursors.open(sealed, ("delta-file",))
    except InvalidRequest:
        return refuse(request, "not_found")
    address, now = msgspec.msgpack.decode(content, type=FileAddress), service.clock()
    access = service.ledger.access(address.token, now, caller(request, service.proxies))
    exports = service.exports
    if access is None or exports is None or now.timestamp() > address.expires:
        return refuse(request, "not_found")
    if not may_have(service, access, address.task):
        return refuse(request, "not_found")
    refused = admit(request, access, service.limits, now)
    if refused is not None:
        return refused
    found = exports.snapshot(address.task.key)
    if found is None:
        return refuse(request, "snapshot_expired")
    return send_file(
        *(request, service, access, found),
        token=address.token,
        folder=exports.store.files,
        route=Route.DELTA_SHARING,
    )


def _caller(request: Request) -> Access | Response:
    return authenticate(request, service_of(request))


def _share(request: Request) -> tuple[Access, str, list[Right]] | Response:
    """Return who asks, the share of the path and its rights, or the refusal to send."""
    access, share = _caller(request), request.path_params["share"]
    if isinstance(access, Response):
        return access
    rights = sorted(right for office, right in access.grants if office == share)
    return (access, share, rights) if rights else refuse(request, "not_found")


def _table(request: Request, access: Access) -> Task | None:
    """Return the file that is the table of the path; nothing when it is not shared."""
    path, service = request.path_params, service_of(request)
    right = next((right for right in Right if right == path["table"]), None)
    grant = None if right is None else access.grants.get((path["share"], right))
    if right is None or grant is None or path["schema"] != SCHEMA:
        return None
    place = service.serving.place(path["share"], right, grant)
    return Task(path["share"], right, place, Format.PARQUET)


def _version(access: Access, task: Task) -> int:
    """Return the version of a table: places count from the beginning where a view begins."""
    return (access.versions[task.office] - 1) * DECISION + task.place.number


async def _prepared(exports: Exports, task: Task) -> Snapshot | None:
    """Return the file of a table as soon as it is ready; nothing when that takes too long."""
    found = exports.snapshot(task.key)
    if found is None and await run_in_threadpool(exports.ask, task):
        for look in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
            if (found := exports.snapshot(task.key)) is not None:
                break
            # A builder that was just ending when the file was asked for has not seen that.
            if look % AGAIN == 0 and await run_in_threadpool(exports.state, task, HUB) == "FAILED":
                break
            await asyncio.sleep(LOOK_SECONDS)
    return found


def _page(request: Request, access: Access, items: list[dict[str, str]]) -> Response:
    """Return a page of a list, which is by name."""
    service = service_of(request)
    wanted = frozenset({"maxResults", "pageToken"})
    values = read_query(request.scope["query_string"], allowed=wanted)
    bound_to = ("delta-list", access.clientId, request.url.path)
    if "pageToken" in values:
        # A name and not a number: what is taken back meanwhile moves all behind it.
        before = service.cursors.open(values["pageToken"], bound_to).decode()
        items = [item for item in items if item["name"] > before]
    limit = len(items)
    if "maxResults" in values:
        text = values["maxResults"]
        if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
            raise InvalidRequest("maxResults: a whole number from 1.")
        limit = int(text)
    document: dict[str, object] = {"items": items[:limit]}
    if len(items) > limit:
        last = items[limit - 1]["name"].encode()
        document["nextPageToken"] = service.cursors.seal(last, bound_to)
    return answer(document)


def _lines(version: int, lines: list[dict[str, object]]) -> Response:
    headers = HEADERS | {"Delta-Table-Version": str(version)}
    body = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    return Response(body, 200, headers, "application/x-ndjson")
