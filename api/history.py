"""An office asks the history of its own register, as ``iphub history`` does.

Versions of a record, what changed between two points, the register as it was known, why a
record is not here, and where a field stands in what the office sent. A record is named by
``number``: its application number (which may contain slashes) or its ``recordId``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_history as openapi
from api.bodies import JSON, answer
from api.negotiation import accepts_json, available
from api.office_access import office_access
from api.parameters import read_limit, read_query
from api.problems import refuse
from api.service import Service, service_of
from connectors.history.absence import why
from connectors.history.lineage import lineage_of
from connectors.history.points import Point, identifier_of, point_of
from connectors.history.states import changes_between, record_as_of, register_as_of
from connectors.history.versions import versions_of
from connectors.hub import Hub
from ipregister.errors import InvalidRequest
from ipregister.model import Right
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/{right}/history", tags=["History"])

Found = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of whose register; ``values`` are the parameters."""

    service: Service
    office: str
    right: Right
    values: Mapping[str, str]

    @property
    def hub(self) -> Hub:
        return self.service.files()

    @property
    def record_id(self) -> str:
        return identifier_of(self.office, self.right, self.needed("number"))

    def needed(self, name: str) -> str:
        if name not in self.values:
            raise InvalidRequest(f"{name} is missing.")
        return self.values[name]

    def point(self, name: str) -> Point:
        return point_of(self.hub, self.office, self.right, self.needed(name))


@router.get("/record", openapi_extra=openapi.RECORD)
async def read_versions(request: Request) -> Response:
    """Return every version of one record, oldest first by the office's order."""
    return await _ask(request, {"number"}, _versions)


@router.get("/changes", openapi_extra=openapi.CHANGES)
async def read_changes(request: Request) -> Response:
    """Return what is different at one point from another."""
    return await _ask(request, {"from", "to", "limit", "after"}, _changes)


@router.get("/as-of", openapi_extra=openapi.AS_OF)
async def read_state(request: Request) -> Response:
    """Return the register, or one record of it, as it was known at a point."""
    return await _ask(request, {"at", "number", "limit"}, _state)


@router.get("/why", openapi_extra=openapi.WHY)
async def read_reasons(request: Request) -> Response:
    """Return why a record is here, or why it is not."""
    return await _ask(request, {"number", "thirdParty"}, _reasons)


@router.get("/lineage", openapi_extra=openapi.LINEAGE)
async def read_lineage(request: Request) -> Response:
    """Return where a record or a field stands in what the office sent."""
    return await _ask(request, {"number", "field"}, _lineage)


async def _ask(
    request: Request, names: set[str], question: Callable[[_Question], Found]
) -> Response:
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_DELIVERIES)
    if isinstance(access, Response):
        return access
    if request.path_params["right"] not in list(Right):
        return refuse(request, "not_found")
    values = read_query(request.scope["query_string"], allowed=frozenset(names))
    if not accepts_json(request):
        return available(request, [JSON])
    if "thirdParty" in values and not access.may_do(Act.READ_AUTHORIZATIONS):
        return refuse(request, "forbidden")
    asked = _Question(service, office, Right(request.path_params["right"]), values)
    found = await run_in_threadpool(question, asked)
    if found is None:
        return refuse(request, "not_found")
    # Instants, days and the record's own bytes become plain JSON here.
    return answer(msgspec.json.decode(msgspec.json.encode(found)))


def _versions(asked: _Question) -> Found:
    found = versions_of(asked.hub, asked.office, asked.right, asked.record_id)
    return {"recordId": asked.record_id, "items": found}


def _changes(asked: _Question) -> Found:
    return changes_between(
        asked.hub,
        asked.office,
        asked.right,
        asked.point("from"),
        asked.point("to"),
        limit=read_limit(asked.values),
        after=asked.values.get("after", ""),
    )


def _state(asked: _Question) -> Found:
    place, point = (asked.hub, asked.office, asked.right), asked.point("at")
    if "number" in asked.values:
        return record_as_of(*place, asked.record_id, point)
    return register_as_of(*place, point, limit=read_limit(asked.values))


def _reasons(asked: _Question) -> Found:
    return why(
        asked.hub,
        asked.office,
        asked.right,
        asked.needed("number"),
        third_party=asked.values.get("thirdParty"),
        at=asked.service.clock(),
    )


def _lineage(asked: _Question) -> Found:
    field = asked.values.get("field")
    return lineage_of(asked.hub, asked.office, asked.right, asked.record_id, field)
