"""What is around every answer: a caller who hangs up is no failure of the hub."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from api.envelope import Envelope


class Counted:
    """Metrics that remember the statuses."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def observe(self, route: str, status: int, seconds: float) -> None:
        self.statuses.append(status)


async def reads_its_body(scope: Any, receive: Any, send: Any) -> None:
    await Request(scope, receive).body()


async def breaks(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a fault of ours")


async def hangs_up() -> Any:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("app", "status", "events", "answers"),
    [(reads_its_body, 400, [], 0), (breaks, 500, ["request_failed"], 2)],
)
def test_who_hangs_up_is_counted_and_is_no_error(
    app: Any, status: int, events: list[str], answers: int
) -> None:
    counted, sent = Counted(), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/oauth2/token", "headers": []}
    envelope = Envelope(app, "http://hub", counted)  # type: ignore[arg-type]
    with capture_logs() as logs:
        asyncio.run(envelope(scope, hangs_up, send))
    assert [line["event"] for line in logs] == events
    assert (counted.statuses, len(sent)) == ([status], answers)
