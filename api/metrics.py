"""What an operator's monitoring reads: answers by route and status, and how long they took.

Routes are templates and nothing has a label with an identifier, so nothing here tells who
asked or for what. Open to operators' tokens, and to callers on the machine itself.

Format: Prometheus text exposition 0.0.4.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.auth import authenticate
from api.problems import refuse
from api.service import Service, service_of
from connectors.counters import Counters
from ipregister.roles import Act

STATUSES = (
    *(200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308),
    *(400, 401, 403, 404, 405, 406, 409, 410, 411, 412, 413, 415, 416, 422, 428, 429, 431),
    *(500, 501, 503),
)
"""Others are counted as ``other``."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
"""Seconds: a point read takes a fraction of the first, a search at most the last."""

NO_ROUTE = "none"
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_STATUS_AT = {status: place for place, status in enumerate(STATUSES)}
_SUM_AT = len(STATUSES) + 1
_BUCKETS_AT = _SUM_AT + 1
_WIDTH = _BUCKETS_AT + len(BUCKETS) + 1

router = APIRouter(tags=["Operation"])


class Metrics:
    """Counting of one application; cheap enough for every answer."""

    def __init__(self, folder: Path | None, routes: Sequence[str]) -> None:
        """Count answers of these routes, together with the workers that use ``folder``."""
        self._routes = (*sorted(set(routes)), NO_ROUTE)
        self._at = {route: number * _WIDTH for number, route in enumerate(self._routes)}
        layout = blake2b("\n".join(self._routes).encode(), digest_size=8).hexdigest()
        self._counters = Counters(folder, len(self._routes) * _WIDTH, f"{layout}-{_WIDTH}")
        self._mine = self._counters.mine

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        start = self._at.get(route)
        if start is None:
            start = self._at[NO_ROUTE]
        mine = self._mine
        mine[start + _STATUS_AT.get(status, len(STATUSES))] += 1
        mine[start + _SUM_AT] += seconds
        place = 0
        while place < len(BUCKETS) and seconds > BUCKETS[place]:
            place += 1
        mine[start + _BUCKETS_AT + place] += 1

    def exposition(self) -> str:
        """Return the counts of all workers as Prometheus reads them."""
        totals = self._counters.totals()
        lines = [
            "# HELP iphub_http_requests_total Answers by route and status.",
            "# TYPE iphub_http_requests_total counter",
        ]
        for route, start in self._at.items():
            for status, place in (*_STATUS_AT.items(), ("other", len(STATUSES))):
                if count := int(totals[start + place]):
                    name = f'iphub_http_requests_total{{route="{route}",status="{status}"}}'
                    lines.append(f"{name} {count}")
        lines += [
            "# HELP iphub_http_request_duration_seconds Time to the end of the answer.",
            "# TYPE iphub_http_request_duration_seconds histogram",
        ]
        for route, start in self._at.items():
            lines += _histogram(route, totals[start : start + _WIDTH])
        return "\n".join(lines) + "\n"


def _histogram(route: str, numbers: Sequence[float]) -> Iterator[str]:
    counts = [int(number) for number in numbers[_BUCKETS_AT:]]
    if not any(counts):
        return
    name, sofar = "iphub_http_request_duration_seconds", 0
    for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
        sofar += count
        yield f'{name}_bucket{{route="{route}",le="{bound}"}} {sofar}'
    yield f'{name}_sum{{route="{route}"}} {numbers[_SUM_AT]:.6f}'
    yield f'{name}_count{{route="{route}"}} {sofar}'


@router.get("/metrics", openapi_extra=openapi.METRICS)
async def read_metrics(request: Request) -> Response:
    """Return counts and times of all workers of this host."""
    service = service_of(request)
    if not _is_on_this_machine(request, service):
        access = authenticate(request, service)
        if isinstance(access, Response):
            return access
        if not access.may_do(Act.OPERATE):
            return refuse(request, "forbidden")
    metrics: Metrics = request.scope["app"].state.metrics
    return Response(metrics.exposition(), 200, {"Cache-Control": "no-store"}, MEDIA_TYPE)


def _is_on_this_machine(request: Request, service: Service) -> bool:
    """Tell whether the caller itself is here: not a proxy that speaks for somebody else."""
    headers = request.headers
    if any(name in headers for name in ("authorization", "forwarded", "x-forwarded-for", "via")):
        return False
    try:
        peer = ip_address(request.scope["client"][0])
    except (TypeError, ValueError):
        return False
    return peer.is_loopback and not any(peer in network for network in service.proxies)
