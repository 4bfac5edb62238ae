"""What every answer carries, whatever made it: request id, security headers, HEAD.

Plain ASGI around the application, so that it costs microseconds and also covers what the
framework answers by itself. Also the last handler: what nobody expected is logged by
request id and answered without a word about its cause.
"""

import re
import secrets
from time import perf_counter

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import Meter
from api.metrics import NO_ROUTE, Metrics
from api.problems import refuse

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
HTTPS_ONLY = ((b"strict-transport-security", b"max-age=63072000; includeSubDomains"),)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
"""What we take over from a caller: nothing that could break out of a log line."""


class Envelope:
    """The application, wrapped."""

    def __init__(self, app: ASGIApp, public_url: str, metrics: Metrics) -> None:
        """Wrap ``app``, which the world reaches under ``public_url``."""
        self._app = app
        self._metrics = metrics
        self._headers = ALWAYS + (HTTPS_ONLY if public_url.startswith("https:") else ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said, own = _said_id(scope), secrets.token_hex(8)
        request_id = said or own
        scope["requestId"] = request_id
        # A caller may say the same of many requests; what an office is told must tell them apart.
        scope["receiptId"] = f"{said}.{own}" if said else own
        headers = [*self._headers, (b"x-request-id", request_id.encode())]
        without_body = scope["method"] == "HEAD"
        if without_body:
            # A copy: the server looks at its own again.
            scope = {**scope, "method": "GET", "sentMethod": "HEAD"}
        started, status, since = False, 500, perf_counter()

        async def wrapped(message: Message) -> None:
            nonlocal started, status
            meter: Meter | None = scope.get("meter")
            if meter is not None:
                meter.settle()  # rows sent after the head are taken as they go
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                counted = () if meter is None else meter.headers()
                message["headers"] = [*message["headers"], *headers, *counted]
            elif without_body:
                message["body"] = b""
            await send(message)

        try:
            await self._app(scope, receive, wrapped)
        except ClientDisconnect:
            # The caller is gone: nobody hears an answer, and nothing of ours failed.
            status = status if started else 400
        except Exception as exc:
            # The last handler: whatever it is, the caller gets an answer and we get a line.
            # The kind only: an exception's text may quote a record.
            structlog.get_logger().error(
                "request_failed", request_id=request_id, kind=type(exc).__name__, where=_where(exc)
            )
            if started:
                raise
            await refuse(Request(scope), "internal_error")(scope, receive, wrapped)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self._metrics.observe(route, status, perf_counter() - since)


def _said_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return ""


def _where(exc: Exception) -> str:
    """Return file and line that raised, for the log."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
