"""The quality report an office reads: its last deliveries of each right, with every finding.

Who sees all offices gets the numbers of it.

The same report as ``iphub report``, in the form that is asked for; findings of one delivery,
filtered and in pages, are ``findings``.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import openapi_reports as openapi
from api.bodies import HEADERS, JSON, answer
from api.negotiation import accepted, accepts_json, available
from api.office_access import office_access
from api.office_parameters import read_choice
from api.parameters import read_query
from api.service import service_of
from connectors.hub import Hub
from connectors.reports.documents import write_json
from connectors.reports.pages import write_html
from connectors.reports.sources import ReportSource, office_report
from connectors.reports.tables import write_csv, write_xlsx
from ipregister.model import Right
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/quality-reports", tags=["Reports"])

HTML, CSV = "text/html", "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WRITERS: dict[str, Callable[[ReportSource, Path], None]] = {
    JSON: write_json,
    HTML: write_html,
    CSV: write_csv,
    XLSX: write_xlsx,
}

CHUNK_BYTES = 1 << 18


@router.get("", openapi_extra=openapi.QUALITY_REPORTS)
async def read_quality_reports(request: Request) -> Response:
    """Return the report on the last deliveries of each right, or of one.

    JSON for programs, HTML for people, CSV and XLSX as work lists: what `Accept` asks for.
    Who may read counts only gets those, as JSON.
    """
    service, office = service_of(request), request.path_params["office"]
    access = office_access(request, service, office, may=Act.READ_REPORTS, or_may=Act.READ_COUNTS)
    if isinstance(access, Response):
        return access
    values = read_query(request.scope["query_string"], allowed=frozenset({"right"}))
    right = read_choice("right", values, Right)
    if not access.may_do(Act.READ_REPORTS):
        if not accepts_json(request):
            return available(request, [JSON])
        counts = await run_in_threadpool(
            _counts, service.files(), office, right, at=service.clock()
        )
        return answer(counts)
    forms = tuple(WRITERS)
    place = accepted(request, forms)
    if place is None:
        return available(request, forms)
    form = forms[place]
    opened = await run_in_threadpool(
        _written, service.files(), office, right, at=service.clock(), write=WRITERS[form]
    )
    return StreamingResponse(_chunks(opened), 200, HEADERS, form)


def _counts(hub: Hub, office: str, right: Right | None, *, at: datetime) -> dict[str, Any]:
    with TemporaryDirectory(prefix=".report-", dir=hub.home.root) as folder:
        source = office_report(hub, office, right, at=at, temporary=Path(folder))
        return source.report.counts()


def _written(
    hub: Hub,
    office: str,
    right: Right | None,
    *,
    at: datetime,
    write: Callable[[ReportSource, Path], None],
) -> BinaryIO:
    """Write a report and return it open: its file is gone when it is closed."""
    with ExitStack() as stack:
        # In the hub's own directory: nothing is written outside it.
        folder = TemporaryDirectory(prefix=".report-", dir=hub.home.root)
        temporary = Path(stack.enter_context(folder))
        write(office_report(hub, office, right, at=at, temporary=temporary), temporary / "report")
        return (temporary / "report").open("rb")


def _chunks(opened: BinaryIO) -> Iterator[bytes]:
    with opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk
