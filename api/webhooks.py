"""A third party says where it wants to be told that something changed.

Notifications say that there is something and never what: the feed has it. What is sent and
when is ``connectors.notifications``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api import openapi_webhooks as openapi
from api.auth import authenticate
from api.bodies import Document, answer, read_document
from api.parameters import read_query
from api.problems import refuse
from api.service import Service, service_of
from connectors.ledger import Access
from connectors.ledger.columns import canonical
from connectors.ledger.webhook_records import Webhook
from connectors.notifications.addresses import judge
from connectors.notifications.sending import send
from ipregister.instants import instant
from ipregister.roles import Role

router = APIRouter(prefix="/v1/me/webhooks", tags=["Webhooks"])


RETRY = {"Retry-After": "5"}


class Wanted(Document, frozen=True):
    """Where notifications shall go."""

    url: str


@router.get("", openapi_extra=openapi.WEBHOOKS)
async def list_webhooks(request: Request) -> Response:
    """Return your webhooks."""
    service = service_of(request)
    access = _third_party(request, service)
    if isinstance(access, Response):
        return access
    found = service.ledger.webhooks.list(access.clientId)
    return answer({"items": [webhook.document() for webhook in found]})


@router.post("", status_code=201, openapi_extra=openapi.ADD)
async def add_webhook(request: Request) -> Response:
    """Add a webhook: an https address on the public internet.

    The secret verifies what we send (Standard Webhooks); it is shown this once. One at a time:
    while an address of yours is looked up or tested, the next is answered `503`.
    """
    service = service_of(request)
    access = _third_party(request, service)
    if isinstance(access, Response):
        return access
    wanted = await read_document(request, Wanted)
    with _alone(service, access.clientId) as alone:
        if not alone:
            return refuse(request, "busy", headers=RETRY)
        await run_in_threadpool(judge, wanted.url, inside=service.notify_inside)
    webhook, secret = service.ledger.webhooks.add(
        access.clientId, wanted.url, at=service.clock(), by=access.clientId
    )
    where = f"{service.public_url}/v1/me/webhooks/{webhook.webhookId}"
    return answer(webhook.document() | {"secret": secret}, 201, {"Location": where})


@router.get("/{webhookId}", openapi_extra=openapi.WEBHOOK)
async def read_webhook(request: Request) -> Response:
    """Return a webhook with its last hundred notifications and how they went.

    One that has ended says when and why.
    """
    service = service_of(request)
    found = _webhook(request, service, ended=True)
    if isinstance(found, Response):
        return found
    sent = service.ledger.webhooks.sent(found.webhookId)
    return answer(found.document() | {"notifications": [one.document() for one in sent]})


@router.delete("/{webhookId}", status_code=204, openapi_extra=openapi.END)
async def end_webhook(request: Request) -> Response:
    """End a webhook; what still waits for it is not sent."""
    service = service_of(request)
    found = _webhook(request, service)
    if isinstance(found, Response):
        return found
    service.ledger.webhooks.end(
        found.webhookId, at=service.clock(), by=found.clientId, because="ended by its client"
    )
    return Response(status_code=204)


@router.post("/{webhookId}/secret", openapi_extra=openapi.ROTATE)
async def rotate_secret(request: Request) -> Response:
    """Make a new secret; for a day both sign, so that you can change over in your own time."""
    service = service_of(request)
    found = _webhook(request, service)
    if isinstance(found, Response):
        return found
    secret = service.ledger.webhooks.rotate(found, at=service.clock(), by=found.clientId)
    return answer(found.document() | {"secret": secret})


@router.post("/{webhookId}/test", openapi_extra=openapi.TEST)
async def send_test(request: Request) -> Response:
    """Send a notification of the type `webhook.test` now, once, and say how it went."""
    service = service_of(request)
    found = _webhook(request, service)
    if isinstance(found, Response):
        return found
    at = service.clock()
    body = canonical({"type": "webhook.test", "timestamp": instant(at), "data": {}})
    secrets = service.ledger.webhooks.secrets(found, at)
    name = f"test-{request.scope['requestId']}"
    with _alone(service, found.clientId) as alone:
        if not alone:
            return refuse(request, "busy", headers=RETRY)
        outcome = await run_in_threadpool(
            send, found.url, name, body, secrets, at=at, inside=service.notify_inside
        )
    return answer({"delivered": outcome.is_delivered, "trouble": outcome.trouble})


@contextmanager
def _alone(service: Service, client_id: str) -> Iterator[bool]:
    """Tell whether a worker does nothing else outside for this client, and keep it so.

    How long names and receivers take is their client's choice: with as many of them as there are
    threads it would keep everybody else's searches, files and streams waiting.
    """
    if client_id in service.calling:
        yield False
        return
    service.calling.add(client_id)
    try:
        yield True
    finally:
        service.calling.discard(client_id)


def _webhook(request: Request, service: Service, *, ended: bool = False) -> Webhook | Response:
    """Return the webhook of the path, if it is the caller's own and active, or may have ended."""
    access = _third_party(request, service)
    if isinstance(access, Response):
        return access
    found = service.ledger.webhooks.get(access.clientId, request.path_params["webhookId"])
    if found is None or (found.endedAt is not None and not ended):
        return refuse(request, "not_found")
    return found


def _third_party(request: Request, service: Service) -> Access | Response:
    """Return the third party that calls; nobody else has something to be told.

    A token for something else than changes is neither told of them nor alters who is.
    """
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    read_query(request.scope["query_string"], allowed=frozenset())
    may = access.role is Role.THIRD_PARTY and access.may("changes:read")
    return access if may else refuse(request, "forbidden")
