"""Every error the hub raises has a status, or a reason why it never reaches HTTP."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from api import problems
from ipregister.errors import HubError, InvalidRequest, StoreError


def leaves(kind: type[HubError]) -> list[type[HubError]]:
    children = kind.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [kind]


def request() -> Request:
    return Request({"type": "http", "headers": [], "requestId": "the-id"})


@pytest.mark.parametrize("kind", leaves(HubError), ids=lambda kind: kind.__name__)
def test_every_error_is_mapped_or_never_reaches_http(kind: type[HubError]) -> None:
    mapped = problems.status_of(kind.__new__(kind)) != 500
    assert mapped != (kind in problems.NEVER_REACHES_HTTP)


def test_nothing_is_both() -> None:
    assert not problems.STATUSES.keys() & problems.NEVER_REACHES_HTTP


@pytest.mark.anyio
@pytest.mark.parametrize("kind", problems.STATUSES, ids=lambda kind: kind.__name__)
async def test_an_error_becomes_its_document(kind: type[HubError]) -> None:
    answer = await problems.answer_error(request(), kind("Say what to do.", office="KH"))
    document = json.loads(bytes(answer.body))
    assert answer.media_type == "application/problem+json"
    assert answer.status_code == document["status"] == problems.STATUSES[kind]
    assert (document["code"], document["requestId"]) == (kind.code, "the-id")
    assert document["type"] == f"urn:asean-ip-hub:problem:{kind.code}"
    assert "office" not in document


@pytest.mark.anyio
async def test_a_store_that_fails_says_nothing_of_itself_but_to_the_operator() -> None:
    with capture_logs() as logs:
        answer = await problems.answer_error(request(), StoreError("postgresql://user:secret@host"))
    assert b"secret" not in bytes(answer.body)
    assert answer.headers["retry-after"] == "5"
    told = {"event": "store_failed", "request_id": "the-id", "log_level": "error"}
    assert logs == [told | {"detail": "postgresql://user:secret@host"}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "kind", sorted(problems.NEVER_REACHES_HTTP, key=lambda kind: kind.__name__)
)
async def test_an_error_that_should_not_come_here_is_a_defect(kind: type[HubError]) -> None:
    with pytest.raises(kind):
        await problems.answer_error(request(), kind("why"))


@pytest.mark.anyio
async def test_the_frameworks_refusals_are_documents_too() -> None:
    app = Starlette(routes=[Route("/there", lambda _: Response(), methods=["GET"])])
    posted = Request(request().scope | {"app": app, "method": "POST", "path": "/there"})
    answer = await problems.answer_http(posted, HTTPException(405))
    assert json.loads(bytes(answer.body))["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET, HEAD"
    invalid = RequestValidationError([{"loc": ("query", "limit"), "input": "secret", "msg": "x"}])
    answer = await problems.answer_invalid(request(), invalid)
    document = json.loads(bytes(answer.body))
    assert document["code"] == InvalidRequest.code
    assert document["detail"] == "Not valid: query.limit."
