"""Routes whose function reads the request and returns the response itself.

FastAPI's dependencies, bodies and response models are then work without a product: a third of
a point read. What such a route takes and returns is described in ``openapi``, as for all
others; what its function raises reaches the application's handlers of errors, as for all others.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

ESCAPED_SLASH = "\x1f"
"""What ``%2F`` is in a path: a part of a name (``Nord A/S``), where a plain slash ends one. So is
NUL, which is in no name either and is more than PostgreSQL can look for."""

_ESCAPED_SLASH = re.compile(rb"%(?:2[Ff]|00)")


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


class DirectRoutes:
    """The reads among the direct routes, without the framework's way to a route.

    Four wrappings and a search that each read passes through in vain are a sixth of it.
    """

    def __init__(self, app: FastAPI) -> None:
        """Take the routes of ``app``, which has all of them and all its handlers of errors."""
        self._app = app
        self._routes = [
            route
            for route in app.router.routes
            if isinstance(route, DirectRoute) and route.methods == {"GET"}
        ]

    def has(self, scope: Scope) -> bool:
        """Tell whether a request is for one of them; it is then made ready for the route."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return False
        if scope.get("root_path"):
            return False
        path = scope["path"]
        for route in self._routes:
            if found := route.path_regex.match(path):
                scope["app"], scope["route"] = self._app, route
                scope["path_params"] = found.groupdict()
                return True
        return False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that ``has`` made ready."""
        try:
            response = await scope["route"].endpoint(Request(scope, receive, send))
        except Exception as exc:  # the application's handlers know what to do with it
            await self._handled(exc)(scope, receive, send)
        else:
            await response(scope, receive, send)

    def _handled(self, exc: Exception) -> ASGIApp:
        async def failed(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise exc

        return ExceptionMiddleware(failed, handlers=self._app.exception_handlers)


class DirectApp(FastAPI):
    """An application whose direct reads do not pass through the framework."""

    _routes: DirectRoutes | None = None
    _front: ASGIApp | None = None

    def go_directly(self, around: Callable[[ASGIApp], ASGIApp]) -> None:
        """Answer direct reads by themselves from now on, with ``around`` around them."""
        self._routes = DirectRoutes(self)
        self._front = around(self._routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        # Servers decode the path before it is parted into names.
        if b"%" in (raw := scope.get("raw_path") or b""):
            scope = {**scope, "path": unquote(_ESCAPED_SLASH.sub(b"%1F", raw).decode("latin-1"))}
        if self._front is not None and self._routes is not None and self._routes.has(scope):
            await self._front(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
