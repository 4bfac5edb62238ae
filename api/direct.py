"""Routes whose function reads the request and returns the response itself.

FastAPI's dependencies, bodies and response models are then work without a product: a third of
a point read. What such a route takes and returns is described in ``openapi``, as for all
others; what its function raises reaches the application's handlers of errors, as for all others.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """A route with nothing between the application and ``async def f(request) -> Response``."""

    def __init__(
        self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **described: Any
    ) -> None:
        """Describe the route as FastAPI does, and answer with its function alone."""
        super().__init__(path, endpoint, **described)

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = answer
