"""What can go wrong, as exceptions: the hub refuses, or it cannot be reached."""

from collections.abc import Mapping
from typing import Any

RESYNC_REQUIRED = "resync_required"
"""Code of the answer to a cursor the hub no longer knows: begin again without one."""

NOT_FOUND = "not_found"
"""Code of the answer about what is not there, or not shared."""


class HubError(Exception):
    """Base of every error of this package."""


class HubUnreachable(HubError):
    """No answer, or only temporary refusals, after all attempts; trying later makes sense."""


class HubProblem(HubError):
    """The hub answered no.

    ``code`` is stable and meant for programs, ``detail`` for people; quote ``request_id`` when
    you ask the hub's operators. ``retry_after`` is in seconds, where the hub said so.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Keep the answer's parts; the message is what a person should read."""
        told = f"{status} {code}: {detail}" + (f" (request {request_id})" if request_id else "")
        super().__init__(told)
        self.status, self.code, self.detail = status, code, detail
        self.request_id, self.retry_after = request_id, retry_after


def problem_of(
    status: int, document: Mapping[str, Any], retry_after: float | None = None
) -> HubProblem:
    """Return the exception of a refusal: a problem document (RFC 9457) or OAuth's own form."""
    code = document.get("code") or document.get("error") or "unknown"
    detail = document.get("detail") or document.get("error_description") or "no reason was given"
    return HubProblem(
        status,
        str(code),
        str(detail),
        request_id=str(document.get("requestId", "")),
        retry_after=retry_after,
    )
