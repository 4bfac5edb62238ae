"""Third parties read: one record, a page of records.

A route authenticates, looks up the grant, reads the allowed fragments and hands them on in the
form asked for; nothing is masked here. Whoever has no grant gets the bytes of an office that
does not exist, whatever else is wrong with the request. Parameters are read here and described
in ``openapi``: the framework's own reading costs as much as the whole answer.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.answers import Answer, caching, coding_of, compact, counted, etag_of, matches, respond
from api.auth import authenticate, still, token_hash, watch
from api.direct import DirectRoute
from api.limits import count_rows
from api.negotiation import RECORD_FORMATS, negotiate, not_acceptable, said
from api.paging import Paging, bound_to, next_link
from api.parameters import (
    FILTERS,
    SEARCH,
    SORT,
    available_fields,
    filter_classes,
    read_count,
    read_fields,
    read_filters,
    read_limit,
    read_query,
    read_sort,
)
from api.problems import refuse
from api.receipting import note
from api.record_stream import Wanted, stream
from api.service import Service, service_of
from connectors.exports.formats import Format
from connectors.ledger import Access
from connectors.receipts.journal import Route
from connectors.serving_store import START, Filters
from ipregister.authorizations import NOTHING, Grant
from ipregister.model import Right

router = APIRouter(prefix="/v1/offices", tags=["Records"], route_class=DirectRoute)

RIGHTS = {str(right): right for right in Right}

JSON = "application/json"
Sort = tuple[str, str]

_BINDING = frozenset(FILTERS) | {SORT}
"""Parameters a cursor goes on with: which records there are, and in which order."""


@router.get("/{office}/{right}/records/{recordId}", openapi_extra=openapi.RECORD)
async def read_record(request: Request) -> Response:
    """Return one record; the same bytes, and the same ETag, as long as you see no change."""
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    office, right, grant = _grant(access, request.scope["path_params"])
    if right is None:
        return refuse(request, "not_found")
    allowed = grant.allowed
    values = read_query(request.scope["query_string"], allowed=frozenset({"fields"}))
    columns = read_fields(values, right, allowed)
    if columns is None:
        return refuse(request, "field_not_available")
    kind = negotiate(request, RECORD_FORMATS)
    if kind is None:
        return not_acceptable(request, RECORD_FORMATS)
    record_id = request.scope["path_params"]["recordId"]
    found = service.serving.record(office, right, record_id, grant)
    if found is None:
        gone = service.serving.is_gone(office, right, record_id, grant)
        return refuse(request, "record_withdrawn" if gone else "not_found")
    every = available_fields(right, allowed)
    answer = Answer(office, right, allowed, every, (record_id,), (found,)).only(columns)
    body = answer.bodies[0] if kind is Format.JSON else answer.encoded(kind)
    note(request, service, access, Route.RECORD, (office, right), answer.records)
    coding = coding_of(request, kind, body)
    headers = {"ETag": etag_of(body, coding)}
    if (known := said(request, b"if-none-match")) and matches(known, headers["ETag"]):
        return Response(None, 304, caching(allowed) | headers)
    count_rows(request, 1)
    return await compact(respond(answer, kind, body, headers), coding)


@router.get("/{office}/{right}/records", openapi_extra=openapi.RECORDS)
async def list_records(request: Request) -> Response:
    """Return a page of records, by application number, or from its end with `sort`.

    Fewer items than asked for do not mean the last page; the absence of `nextCursor`, or in
    other forms than JSON of the `Link` to the next page, does. NDJSON without a `limit` is
    everything there is, in one state of the register.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    return await _list(request, service, access)


async def _list(request: Request, service: Service, access: Access) -> Response:
    office, right, grant = _grant(access, request.scope["path_params"])
    if right is None:
        return refuse(request, "not_found")
    allowed = grant.allowed
    values = read_query(request.scope["query_string"], allowed=_known(right))
    columns = read_fields(values, right, allowed)
    descending = read_sort(values, right, allowed)
    if columns is None or descending is None or _uses_withheld(values, right, grant):
        return refuse(request, "field_not_available")
    kind = negotiate(request, RECORD_FORMATS)
    if kind is None:
        return not_acceptable(request, RECORD_FORMATS)
    limit, filters, count = read_limit(values), read_filters(values, right), read_count(values)
    bound = bound_to(("records", access.clientId, office, right), values, _BINDING)
    after = Paging(request, service, values, bound).place(Sort) or START

    every = available_fields(right, allowed)
    if kind is Format.NDJSON and "limit" not in values:
        wanted = Wanted(
            *(access, office, right, grant, columns, every, filters, after, descending, count)
        )
        return await stream(request, service, wanted)

    def read() -> tuple[Answer, Sort | None, int | None]:
        page = service.serving.page(
            *(office, right, grant, filters),
            after=after,
            limit=limit,
            descending=descending,
            count=count,
        )
        answer = Answer(office, right, allowed, every, page.records, page.bodies)
        return answer.only(columns), page.last, page.count

    # A search walks through many records: other requests must not wait for it.
    searches, space = is_search(filters), (office, right)
    if searches:
        is_allowed = watch(request, service, token_hash(request), space, grant)
    answer, last, total = await run_in_threadpool(read) if searches else read()
    cursor = None if last is None else service.cursors.seal(msgspec.json.encode(last), bound)
    headers = {"Link": next_link(request, service, values, cursor)} if cursor else {}
    if kind is Format.JSON:
        body = _page(answer.bodies, cursor, total)
    else:
        headers |= counted(total)
        body = await run_in_threadpool(answer.encoded, kind)
    if searches and not is_allowed():  # as it is shared by now
        now = still(request, service, token_hash(request))
        return await (list_records(request) if now is None else _list(request, service, now))
    note(request, service, access, Route.PAGE, space, answer.records)
    count_rows(request, len(answer.bodies))
    coding = coding_of(request, kind, body)
    return await compact(respond(answer, kind, body, headers), coding)


def is_search(filters: Filters) -> bool:
    """Tell whether a filter has to look at more records than it returns."""
    return filters != Filters(
        applicationNumber=filters.applicationNumber, registrationNumber=filters.registrationNumber
    )


def _grant(access: Access, path: Mapping[str, str]) -> tuple[str, Right | None, Grant]:
    """Return office, right and what may be seen of it; no right when nothing may."""
    office, kind = path["office"], RIGHTS.get(path["right"])
    if kind is None or (grant := access.grants.get((office, kind))) is None:
        return office, None, NOTHING
    return office, kind, grant


@cache
def _known(right: Right) -> frozenset[str]:
    return frozenset(filter_classes(right)) | {"limit", "cursor", "fields", "count", SORT}


def _uses_withheld(values: Mapping[str, str], right: Right, grant: Grant) -> bool:
    classes = filter_classes(right)
    if SEARCH in values and not grant.freeText:  # words are looked up in free text, too
        return True
    return any(name in classes and classes[name] not in grant.allowed for name in values)


def _page(bodies: Sequence[bytes], cursor: str | None, total: int | None) -> bytes:
    end = b"]" if total is None else b'],"count":%d' % total
    end += b"}" if cursor is None else b',"nextCursor":"%b"}' % cursor.encode()
    items = list(bodies) or [b""]
    # Into the first and the last: a page of 160 kB is copied once.
    items[0] = b'{"items":[' + items[0]
    items[-1] += end
    return b",".join(items)
