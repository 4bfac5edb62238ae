"""Send one signed notification and say how it went.

The connection goes to the address that was judged, whatever the name says by then; redirects
are not followed, and of the answer only the status matters.

Standard: Standard Webhooks 1.0 (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``).
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
from standardwebhooks import Webhook as Signer

from connectors.networks import Networks
from connectors.notifications.addresses import (
    HTTP_PORT,
    HTTPS_PORT,
    Resolve,
    Target,
    judge,
    resolve,
)
from ipregister.errors import InvalidRequest

TIMEOUT_SECONDS = 15.0
"""For an attempt from connecting to the status, however alive the receiver seems meanwhile: one
that sends a byte now and then must not keep everybody else's notifications waiting. Standard
Webhooks' advice; a receiver queues what it gets and answers at once."""

USER_AGENT = "asean-ip-hub/1"
GONE = 410
"""How a receiver says that it wants to hear nothing any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went; ``trouble`` is for people and quotes nothing of the answer."""

    is_delivered: bool
    is_gone: bool = False
    trouble: str | None = None


def send(
    url: str,
    notification_id: str,
    body: str,
    secrets: Sequence[str],
    *,
    at: datetime,
    inside: Networks = (),
    resolver: Resolve = resolve,
) -> Outcome:
    """Send a notification once.

    Args:
        url: the webhook's address.
        notification_id: the same at every attempt: receivers know by it what they have.
        body: JSON text, signed as it is.
        secrets: each signs, so that a receiver may change over in its own time.
        at: now.
        inside: networks of ours that may be called.
        resolver: finds a name's addresses.
    """
    try:
        target = judge(url, inside=inside, resolver=resolver)
    except InvalidRequest as exc:
        return Outcome(False, trouble=exc.detail)
    signatures = [Signer(secret).sign(notification_id, at, body) for secret in secrets]
    headers = {
        "Host": _host(target),
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": notification_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    try:
        status = asyncio.run(_post(target, body.encode(), headers))
    except (TimeoutError, httpx.TimeoutException):
        return Outcome(False, trouble=f"no answer within {TIMEOUT_SECONDS:g} s")
    except httpx.TransportError as exc:
        return Outcome(False, trouble=_trouble(exc))
    if 200 <= status < 300:
        return Outcome(True)
    return Outcome(False, is_gone=status == GONE, trouble=f"the receiver answered {status}")


async def _post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    address = f"[{target.address}]" if ":" in target.address else target.address
    url = f"{target.scheme}://{address}:{target.port}{target.path}"
    # The name for TLS: the certificate must be of the host, not of its address.
    extensions = {"sni_hostname": target.host}
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),  # httpx itself bounds each wait for bytes, not all
        # Without the environment: a proxy set there would resolve the name anew.
        httpx.AsyncClient(timeout=None, trust_env=False, follow_redirects=False) as client,  # noqa: S113
        client.stream("POST", url, content=body, headers=headers, extensions=extensions) as answer,
    ):
        return answer.status_code


def _trouble(error: BaseException) -> str:
    """Return in words what kept us from an answer, and nothing of what was sent."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "no TLS connection"
    is_answered = isinstance(error, httpx.ProtocolError | httpx.ReadError)
    return "the answer is not HTTP, or broke off" if is_answered else "no connection"


def _host(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = HTTPS_PORT if target.scheme == "https" else HTTP_PORT
    return host if target.port == usual else f"{host}:{target.port}"
