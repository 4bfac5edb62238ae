"""The change feed: what happened to what a third party may see, and to what it may see.

The feed itself is the serving store's; here a cursor becomes marks and back.
"""

import zlib

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.answers import caching, coding_of, compact
from api.auth import authenticate
from api.direct import DirectRoute
from api.limits import count_rows
from api.negotiation import FEED_FORMATS, negotiate, not_acceptable
from api.paging import next_link
from api.parameters import read_limit, read_query
from api.problems import refuse
from api.receipting import note_changes
from api.redistribution import JSON, RIGHTS
from api.service import service_of
from connectors.exports.formats import MEDIA_TYPES, Format
from connectors.ledger import Access
from connectors.serving_store import Changes, Mark, PlaceUnknown, Space
from ipregister.authorizations import Grant
from ipregister.errors import InvalidRequest

router = APIRouter(prefix="/v1", tags=["Changes"], route_class=DirectRoute)

PARAMETERS = frozenset({"office", "right", "cursor", "limit"})

LONG_PLACE = 512
"""Bytes of marks from which they are packed. Those of eleven offices are some 5,000, much alike; a
cursor stands twice in the head of an answer, of which nginx takes 4,096 where nobody says more."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Mark]).decode


@router.get("/changes", openapi_extra=openapi.CHANGES)
async def list_changes(request: Request) -> Response:
    """Return what happened since a cursor; without one, everything there is.

    Do what the items say, in their order, and you hold exactly what you may hold. Every
    answer has a `nextCursor`: keep it and ask again with it, also when `hasMore` is false.
    """
    service = service_of(request)
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    if not access.may("changes:read"):
        return refuse(request, "forbidden")
    values = read_query(request.scope["query_string"], allowed=PARAMETERS)
    kind = negotiate(request, FEED_FORMATS)
    if kind is None:
        return not_acceptable(request, FEED_FORMATS)
    limit = read_limit(values)
    grants = _wanted(access, values.get("office"), values.get("right"))
    # A narrower token must not read the rest as taken away: each scope has its own cursors.
    asked = (values.get("office", ""), values.get("right", ""), access.scope or "")
    bound_to = ("changes", access.clientId, *asked)
    marks, waiting = None, list[Mark]()
    if "cursor" in values:
        marks = _unpack(service.cursors.open(values["cursor"], bound_to))
        # From a network an office does not want it in, a reader hears nothing of what it has:
        # nobody took that back. It goes on where it stands when it comes from the right one.
        waiting = [mark for mark in marks if (mark.office, mark.right) in access.elsewhere]
        marks = [mark for mark in marks if mark not in waiting] if waiting else marks
    # Who has retracted everything it had of an office is a stranger there, as before.
    came_with = values.get("cursor", "")
    if not (grants or marks or waiting) and ("office" in values or "right" in values):
        note_changes(request, service, access, {}, came_with=came_with, left_with="")
        return refuse(request, "not_found")
    try:
        between = b"\n" if kind is Format.NDJSON else b","
        changes = service.serving.changes(grants, marks, limit, between=between)
    except PlaceUnknown:
        # It has done what the page before said, whatever has become of the store since.
        note_changes(request, service, access, {}, came_with=came_with, left_with="")
        return refuse(request, "resync_required")
    count_rows(request, changes.count)
    stands = sorted([*changes.marks, *waiting], key=lambda mark: (mark.office, mark.right))
    cursor = service.cursors.seal(_pack(stands), bound_to)
    note_changes(request, service, access, changes.told, came_with=came_with, left_with=cursor)
    headers = caching(frozenset().union(*(grant.allowed for grant in grants.values())))
    headers["Link"] = next_link(request, service, values, cursor)
    page = _page(changes, kind, cursor, headers)
    return await compact(page, coding_of(request, kind, bytes(page.body)))


def _pack(marks: list[Mark]) -> bytes:
    place = _encode(marks)
    return zlib.compress(place, 1) if len(place) > LONG_PLACE else place


def _unpack(place: bytes) -> list[Mark]:
    # zlib's first byte is 0x78, that of a list in MessagePack 0x90 or more.
    return _decode(zlib.decompress(place) if place[:1] == b"x" else place)


def _page(changes: Changes, kind: Format, cursor: str, headers: dict[str, str]) -> Response:
    more = "true" if changes.more else "false"
    if kind is Format.NDJSON:
        # Lines are items and nothing else; what JSON says beside them is in the header.
        headers |= {"Next-Cursor": cursor, "Has-More": more}
        lines = changes.joined(b"", b"\n" if changes.count else b"")
        return Response(lines, 200, headers, MEDIA_TYPES[kind])
    end = b'],"hasMore":%b,"nextCursor":"%b"}' % (more.encode(), cursor.encode())
    return Response(changes.joined(b'{"items":[', end), 200, headers, JSON)


def _wanted(access: Access, office: str | None, right: str | None) -> dict[Space, Grant]:
    """Return the grants a query asks for."""
    if right is not None and right not in RIGHTS:
        raise InvalidRequest(f"right: one of {', '.join(RIGHTS)}.")
    return {
        space: grant
        for space, grant in access.grants.items()
        if office in (None, space[0]) and right in (None, space[1])
    }
