"""Routes whose function reads the request and returns the response itself.

FastAPI's dependencies, bodies and response models are then work without a product: a third of
a point read. What such a route takes and returns is described in ``openapi``, as for all others.
"""

from collections.abc import Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import request_response


class DirectRoute(APIRoute):
    """A route with nothing between the application and ``async def f(request) -> Response``."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **described: Any) -> None:
        """Describe the route as FastAPI does, and answer as Starlette does."""
        super().__init__(path, endpoint, **described)
        self.app = request_response(endpoint)
