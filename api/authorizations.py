"""An office administers who may see what of its rights: the same decisions as the command line.

Reading is for everybody at the office, deciding for its authorizers. A decision names the
version it was made about, and the reason; it acts with the next request of the third party.
"""

from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import certificates
from api import openapi_authorizations as openapi
from api.answers import is_still
from api.bodies import HEADERS, JSON, answer, read_raw
from api.direct import ESCAPED_SLASH
from api.negotiation import accepts_json, available
from api.office_access import office_access
from api.parameters import read_query
from api.previews import preview, read_wish
from api.problems import refuse
from api.service import Service, service_of
from connectors.ledger import Access
from connectors.views import authorize
from ipregister.authorizations import Authorization
from ipregister.decision_documents import MAX_TEXT, one_line, read_decision
from ipregister.errors import ConfigurationError, InvalidMembers, InvalidRequest, LedgerConflict
from ipregister.roles import Act

router = APIRouter(prefix="/v1/offices/{office}/authorizations", tags=["Authorizations"])

NOTHING_YET = '"0"'
"""What ``If-Match`` says of an authorization there never was."""


@router.get("", openapi_extra=openapi.AUTHORIZATIONS)
async def list_authorizations(request: Request) -> Response:
    """Return what the office shares with whom, as it is now; revoked ones, too."""
    opened = _open(request, Act.READ_AUTHORIZATIONS)
    if isinstance(opened, Response):
        return opened
    service, _ = opened
    if not accepts_json(request):
        return available(request, [JSON])
    found = service.ledger.authorizations.list(office=request.path_params["office"])
    return answer({"items": [authorization.document() for authorization in found]})


@router.get("/{thirdParty}", openapi_extra=openapi.AUTHORIZATION)
async def read_authorization(request: Request) -> Response:
    """Return one authorization with every version before it, oldest first."""
    opened = _open(request, Act.READ_AUTHORIZATIONS)
    if isinstance(opened, Response):
        return opened
    service, _ = opened
    if not accepts_json(request):
        return available(request, [JSON])
    versions = _versions(service, request)
    return _show(versions) if versions else refuse(request, "not_found")


@router.get("/{thirdParty}/certificate", openapi_extra=openapi.CERTIFICATE)
async def read_certificate(request: Request) -> Response:
    """Return a signed statement of what is shared; anybody can verify it with our public keys."""
    opened = _open(request, Act.READ_AUTHORIZATIONS)
    if isinstance(opened, Response):
        return opened
    service, _ = opened
    versions = _versions(service, request)
    return certificate(service, versions[-1]) if versions else refuse(request, "not_found")


def certificate(service: Service, authorization: Authorization) -> Response:
    """Return the certificate of an authorization."""
    if service.keys is None:
        raise ConfigurationError("this API was opened without the hub's signing keys")
    made = certificates.issue(
        service.keys,
        authorization,
        service.ledger.authorizations.written(authorization),
        issuer=service.public_url,
        at=service.clock(),
    )
    return Response(made, 200, HEADERS, certificates.MEDIA_TYPE)


@router.put("/{thirdParty}", openapi_extra=openapi.DECISION)
async def decide(request: Request) -> Response:
    """Share what the document says from the next request on; replaces what was shared."""
    opened = _open(request, Act.ADMINISTER_AUTHORIZATIONS)
    if isinstance(opened, Response):
        return opened
    service, access = opened
    document = await _read(request)
    decision = read_decision(document, needs_reason=True)
    expected = _expected(request, service)
    if isinstance(expected, Response):
        return expected
    office, third_party = request.path_params["office"], _third_party(request)

    def save() -> None:
        authorize(
            *(service.ledger, service.serving),
            office=office,
            third_party=third_party,
            decision=decision,
            clock=service.clock,
            by=access.clientId,
            expected_version=expected,
        )

    # A new view of a large right takes seconds: other requests must not wait for it.
    try:
        await run_in_threadpool(save)
    except LedgerConflict:
        return refuse(request, "changed_meanwhile")
    return _show(_versions(service, request))


@router.post("/{thirdParty}/revoke", openapi_extra=openapi.REVOCATION)
async def revoke(request: Request) -> Response:
    """Share nothing with the third party any more, from the next request on."""
    opened = _open(request, Act.ADMINISTER_AUTHORIZATIONS)
    if isinstance(opened, Response):
        return opened
    service, access = opened
    document = await _read(request)
    if not isinstance(document, dict) or document.keys() - {"reason"}:
        raise InvalidMembers({".": "an object with the member reason"})
    given = document.get("reason")
    reason = one_line(given) if isinstance(given, str) else None
    if reason is None:
        raise InvalidMembers({"reason": f"say why, in 1 to {MAX_TEXT} printable characters"})
    expected = _expected(request, service)
    if isinstance(expected, Response):
        return expected
    try:
        service.ledger.authorizations.revoke(
            *(request.path_params["office"], _third_party(request)),
            service.clock(),
            access.clientId,
            expected,
            reason=reason,
        )
    except LedgerConflict:
        return refuse(request, "changed_meanwhile")
    return _show(_versions(service, request))


@router.post("/{thirdParty}/preview", openapi_extra=openapi.PREVIEW)
async def show_preview(request: Request) -> Response:
    """Return what the third party would get if this were saved, byte for byte; saves nothing."""
    opened = _open(request, Act.ADMINISTER_AUTHORIZATIONS)
    if isinstance(opened, Response):
        return opened
    service, _ = opened
    document = await _read(request)
    sample = document.pop("sample", {}) if isinstance(document, dict) else {}
    decision, wish = read_decision(document), read_wish(sample)
    versions = _versions(service, request)
    office, saved = request.path_params["office"], versions[-1] if versions else None
    at = service.clock()
    made = await run_in_threadpool(preview, service.serving, office, saved, decision, wish, at=at)
    return answer(made)


def _open(request: Request, act: Act) -> tuple[Service, Access] | Response:
    service = service_of(request)
    access = office_access(request, service, request.path_params["office"], may=act)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    return service, access


async def _read(request: Request) -> Any:
    try:
        return msgspec.json.decode(await read_raw(request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest("Send one JSON object.") from exc


def _third_party(request: Request) -> str:
    """Return the name in the path, which may have a slash in it."""
    return str(request.path_params["thirdParty"]).replace(ESCAPED_SLASH, "/")


def _versions(service: Service, request: Request) -> list[Authorization]:
    """Return every version; none also for a third party nobody has added."""
    try:
        return service.ledger.authorizations.history(
            request.path_params["office"], _third_party(request)
        )
    except InvalidRequest:
        return []


def _expected(request: Request, service: Service) -> int | Response:
    """Return the version a decision is about, or the refusal to send."""
    seen = request.headers.get("if-match")
    if seen is None:
        return refuse(request, "precondition_required")
    versions = _versions(service, request)
    etag = _etag(versions[-1]) if versions else NOTHING_YET
    # RFC 9110 §13.1.1: ``*`` is whatever there is, and where there is nothing it fails.
    if not is_still(seen, etag) or (seen.strip() == "*" and not versions):
        return refuse(request, "changed_meanwhile")
    return versions[-1].version if versions else 0


def _show(versions: list[Authorization]) -> Response:
    document = versions[-1].document() | {"history": [old.document() for old in versions[:-1]]}
    return answer(document, headers={"ETag": _etag(versions[-1])})


def _etag(authorization: Authorization) -> str:
    return f'"{authorization.version}"'
