"""For the operator's probes: is the process alive, can it answer."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.service import service_of

NOBODY = b"\0" * 32

router = APIRouter(tags=["Operation"])


@router.get("/healthz", openapi_extra=openapi.HEALTH)
async def is_alive() -> Response:
    """Answer as long as the process runs."""
    return _answer("ok")


@router.get("/readyz", openapi_extra=openapi.READINESS)
async def is_ready(request: Request) -> Response:
    """Answer when records can be handed out; otherwise 503.

    Ledger and serving store answer, and there is room for access receipts.
    """
    service = service_of(request)
    service.ledger.access(NOBODY, service.clock())
    service.serving.totals()
    service.receipts.check()
    return _answer("ready")


def _answer(status: str) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(f'{{"status":"{status}"}}', 200, headers, "application/json")
