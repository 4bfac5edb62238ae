"""Third parties read: one record, a page of records.

A route authenticates, looks up the grant, reads the allowed fragments and hands the bytes
on; nothing is parsed, masked or serialised here. Whoever has no grant gets the bytes of an
office that does not exist, whatever else is wrong with the request. Parameters are read here
and described in ``openapi``: the framework's own reading costs as much as the whole answer.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.auth import authenticate
from api.parameters import FILTERS, filter_classes, read_filters, read_limit, read_query
from api.problems import refuse
from api.service import Service, service_of
from connectors.ledger import Access
from connectors.serving_store import START, Filters
from ipregister.model import Disclosure, Right

router = APIRouter(prefix="/v1/offices", tags=["Records"])

RIGHTS = {str(right): right for right in Right}

JSON = "application/json"
Sort = tuple[str, str]


@router.get("/{office}/{right}/records/{recordId}", openapi_extra=openapi.RECORD)
async def read_record(request: Request) -> Response:
    """Return one record; the same bytes, and the same ETag, as long as you see no change."""
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    office, kind, allowed = _grant(access, request.scope["path_params"])
    if kind is None:
        return refuse(request, "not_found")
    if request.scope["query_string"]:
        read_query(request.scope["query_string"], allowed=frozenset())
    if not accepts_json(request):
        return refuse(request, "not_acceptable")
    record_id = request.scope["path_params"]["recordId"]
    body = service.serving.record(office, kind, record_id, allowed)
    if body is None:
        gone = service.serving.is_gone(office, kind, record_id)
        return refuse(request, "record_withdrawn" if gone else "not_found")
    # Of the bytes this client gets: a change it may not see does not change its ETag.
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    headers = caching(allowed) | {"ETag": etag}
    if (known := request.headers.get("if-none-match")) and matches(known, etag):
        return Response(None, 304, headers)
    return Response(body, 200, headers, JSON)


@router.get("/{office}/{right}/records", openapi_extra=openapi.RECORDS)
async def list_records(request: Request) -> Response:
    """Return a page of records, by application number.

    Fewer items than asked for do not mean the last page; the absence of `nextCursor` does.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    office, kind, allowed = _grant(access, request.scope["path_params"])
    if kind is None:
        return refuse(request, "not_found")
    values = read_query(request.scope["query_string"], allowed=_known(kind))
    if _uses_withheld(values, kind, allowed):
        return refuse(request, "field_not_available")
    if not accepts_json(request):
        return refuse(request, "not_acceptable")
    limit, filters = read_limit(values), read_filters(values)
    asked = {name: text for name, text in sorted(values.items()) if name in FILTERS}
    bound_to = ("records", access.clientId, office, kind, urlencode(asked))
    after = START
    if "cursor" in values:
        after = msgspec.json.decode(service.cursors.open(values["cursor"], bound_to), type=Sort)

    def read() -> tuple[list[bytes], Sort | None]:
        page = service.serving.page(office, kind, allowed, filters, after=after, limit=limit)
        return page.bodies, page.last

    # A search walks through many records: other requests must not wait for it.
    bodies, last = await run_in_threadpool(read) if is_search(filters) else read()
    cursor = None if last is None else service.cursors.seal(msgspec.json.encode(last), bound_to)
    return _page(request, service, bodies, cursor, values, allowed)


def is_search(filters: Filters) -> bool:
    """Tell whether a filter has to look at more records than it returns."""
    return filters != Filters(
        applicationNumber=filters.applicationNumber, registrationNumber=filters.registrationNumber
    )


def accepts_json(request: Request) -> bool:
    """Tell whether the caller takes JSON."""
    accept = request.headers.get("accept")
    if accept is None or "*/*" in accept or JSON in accept:
        return True
    return "application/*" in accept


def caching(allowed: frozenset[Disclosure]) -> dict[str, str]:
    """Return the cache headers: never shared, and never kept when persons are in it."""
    keep = "private, no-store" if Disclosure.STAKEHOLDER in allowed else "private, no-cache"
    return {"Cache-Control": keep, "Vary": "Authorization, Accept"}


def matches(known: str, etag: str) -> bool:
    """Tell whether an ``If-None-Match`` names this ETag (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return etag in tags or "*" in tags


def next_link(request: Request, service: Service, values: Mapping[str, str], cursor: str) -> str:
    """Return the ``Link`` to the next page: the same query from there."""
    query = urlencode({name: text for name, text in values.items() if name != "cursor"})
    address = f"{service.public_url}{request.scope['path']}"
    return f'<{address}?{query}{"&" if query else ""}cursor={cursor}>; rel="next"'


def _grant(
    access: Access, path: Mapping[str, str]
) -> tuple[str, Right | None, frozenset[Disclosure]]:
    """Return office, right and what is allowed of it; no right when nothing is."""
    office, kind = path["office"], RIGHTS.get(path["right"])
    if kind is None or (allowed := access.grants.get((office, kind))) is None:
        return office, None, frozenset()
    return office, kind, allowed


@cache
def _known(right: Right) -> frozenset[str]:
    return frozenset(filter_classes(right)) | {"limit", "cursor"}


def _uses_withheld(values: Mapping[str, str], right: Right, allowed: frozenset[Disclosure]) -> bool:
    classes = filter_classes(right)
    return any(name in classes and classes[name] not in allowed for name in values)


def _page(
    request: Request,
    service: Service,
    bodies: list[bytes],
    cursor: str | None,
    values: Mapping[str, str],
    allowed: frozenset[Disclosure],
) -> Response:
    headers = caching(allowed)
    end = b"]}"
    if cursor is not None:
        end = b'],"nextCursor":"%b"}' % cursor.encode()
        headers["Link"] = next_link(request, service, values, cursor)
    return Response(b'{"items":[' + b",".join(bodies) + end, 200, headers, JSON)
