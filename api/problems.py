"""Errors and refusals as problem documents; the only table of HTTP statuses.

A refusal says what the caller can do and nothing about what exists: who may not see an
office gets the bytes of an office that is not there. OAuth endpoints answer in OAuth's own
form, in ``oauth``.

Standard: RFC 9457 (problem details).
"""

import json
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from ipregister import errors

PROBLEM_TYPE = "application/problem+json"

STATUSES: dict[type[errors.HubError], int] = {
    errors.InvalidRequest: 400,
    errors.InvalidClient: 401,
    errors.UnsupportedMedia: 415,
    errors.ContentMismatch: 422,
    errors.KeyReused: 422,
    errors.UnknownDelivery: 404,
    errors.LedgerConflict: 409,
    errors.OversizedDelivery: 413,
    errors.UnreadableDelivery: 422,
    errors.SearchTooSlow: 503,
    errors.StoreError: 503,
}
"""Status of each error; a subclass has its parent's unless it is named."""

NEVER_REACHES_HTTP: frozenset[type[errors.HubError]] = frozenset(
    {
        errors.ConfigurationError,  # we refuse to start
        errors.OfficeUnreachable,  # only collection talks to offices' servers
        errors.OfficeRefused,
        errors.OutOfTime,
        errors.SnapshotMissing,  # the serving store answers with nothing, not with an error
    }
)
"""Errors of work that no request starts; one that comes up here is a defect, answered 500."""

REFUSALS: dict[str, tuple[int, str, str]] = {
    "unauthorized": (
        401,
        "Unauthorized",
        "Send a valid access token: Authorization: Bearer …. POST /oauth2/token gives a new one; "
        "WWW-Authenticate says what is wrong with the one sent.",
    ),
    "forbidden": (
        403,
        "Forbidden",
        "The role of this client, or the scope of its token, does not allow this. "
        "GET /v1/me says what it may do or see.",
    ),
    "not_found": (
        404,
        "Not found",
        "There is nothing here for this client: it does not exist or is not shared with it.",
    ),
    "precondition_required": (
        428,
        "Precondition required",
        'Say what you decide about: If-Match with the ETag you saw, or "0" where there is none.',
    ),
    "changed_meanwhile": (
        412,
        "Changed meanwhile",
        "It changed since you read it. Read it again, then decide.",
    ),
    "record_withdrawn": (410, "Withdrawn", "The office has taken this record away."),
    "resync_required": (
        410,
        "Start again",
        "The hub no longer knows this place in the feed. Start again without a cursor.",
    ),
    "field_not_available": (
        400,
        "Field not available",
        "A parameter uses a field that does not exist or is not shared with this client: leave it "
        "out, or ask the office. GET /v1/me says which classes of fields are withheld.",
    ),
    "snapshot_expired": (410, "Expired", "This file is no longer kept. Ask for a new export."),
    "job_finished": (409, "Finished", "This job is finished: there is nothing left to cancel."),
    "withdraw_instead": (
        409,
        "Not cancelled here",
        "A package is a delivery: POST …/deliveries/{deliveryId}/withdraw takes it back.",
    ),
    "no_http_request": (400, "Bad Request", "This cannot be read as a request in HTTP/1.1."),
    "address_too_long": (414, "Address too long", "Send a shorter address, or several requests."),
    "headers_too_long": (431, "Headers too long", "Send fewer and shorter headers."),
    "busy": (503, "Busy", "Too much of this at this moment. Try again in a few seconds."),
    "internal_error": (
        500,
        "Internal error",
        "The hub failed. Quote requestId when you report it.",
    ),
}
"""Answers that are not errors of ours: code, then status, title and detail."""


def problem(
    request: Request,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """Return a problem document; ``more`` are members of this kind of problem."""
    document = {
        "type": f"urn:asean-ip-hub:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request.scope.get("requestId", ""),
        **(more or {}),
    }
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    headers = {"Cache-Control": "no-store"} | dict(headers or {})
    return Response(body, status, headers, PROBLEM_TYPE)


def refuse(request: Request, code: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return one of ``REFUSALS``; the same bytes for everyone, but for ``requestId``."""
    status, title, detail = REFUSALS[code]
    return problem(request, status, code, title, detail, headers=headers)


def status_of(error: errors.HubError) -> int:
    """Return the status of an error: its own, or the nearest parent's; 500 for a defect."""
    for kind in type(error).__mro__:
        if kind in NEVER_REACHES_HTTP:
            return 500
        if kind in STATUSES:
            return STATUSES[kind]
    return 500


async def answer_error(request: Request, error: Exception) -> Response:
    """Return the problem document of an error raised on purpose."""
    if not isinstance(error, errors.HubError) or (status := status_of(error)) == 500:
        raise error
    detail = error.detail
    if status == 503 and isinstance(error, errors.StoreError):
        # A store's own words may name its address: they are for the operator alone.
        asked = request.scope.get("requestId", "")
        structlog.get_logger().error("store_failed", request_id=asked, detail=detail)
        detail = "Try again in a moment."
    headers = {"Retry-After": "5"} if status == 503 else None
    title = HTTPStatus(status).phrase
    more = None
    if isinstance(error, errors.InvalidMembers):
        wrong = [{"member": path, "detail": what} for path, what in error.members.items()]
        detail, more = "Some members are not valid; errors names each.", {"errors": wrong}
    return problem(request, status, error.code, title, detail, headers=headers, more=more)


async def answer_http(request: Request, error: Exception) -> Response:
    """Return the problem document of the framework's own refusals (404, 405, …)."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return _canonical(request) or refuse(request, "not_found")
    status = HTTPStatus(error.status_code)
    headers = error.headers
    if status == 405 and (methods := _methods(request)):
        headers = {"Allow": ", ".join(methods)}
    code = status.phrase.lower().replace(" ", "_").replace("-", "_")
    return problem(request, status, code, status.phrase, status.description, headers=headers)


def _canonical(request: Request) -> Response | None:
    """Return the way to the one form of a path, which has no slash at its end, if there is one."""
    path: str = request.scope["path"]
    written: bytes = request.scope.get("raw_path", b"").partition(b"?")[0]
    bare, raw = path.rstrip("/"), written.rstrip(b"/")
    if not bare or bare == path or raw.startswith(b"//"):
        return None
    scope = {**request.scope, "path": bare}
    if all(route.matches(scope)[0] is Match.NONE for route in request.app.router.routes):
        return None
    query: bytes = request.scope["query_string"]
    place = (raw + b"?" + query if query else raw).decode("latin-1")
    location = f"{request.app.state.service.public_url}{place}"
    return Response(status_code=308, headers={"Location": location, "Cache-Control": "no-store"})


def _methods(request: Request) -> list[str]:
    """Return every method there is at a path; the framework names those of one route alone."""
    # Routes that are not described only say why they are not there.
    described = [r for r in request.app.router.routes if getattr(r, "include_in_schema", False)]
    matching = (r.path for r in described if r.matches(request.scope)[0] is not Match.NONE)
    path = next(matching, None)
    methods = {method for r in described if r.path == path for method in r.methods}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Return the problem document of parameters the framework refused; echoes no value."""
    if not isinstance(error, RequestValidationError):
        raise error
    names = sorted({".".join(str(part) for part in entry["loc"]) for entry in error.errors()})
    detail = f"Not valid: {', '.join(names)}."
    return problem(request, 400, errors.InvalidRequest.code, "Bad Request", detail)
