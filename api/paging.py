"""Lists in pages: where one page ended, and the sealed cursor that goes on from there."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import answer
from api.service import Service

T = TypeVar("T")


def bound_to(
    about: tuple[str, ...], values: Mapping[str, str], filters: Container[str]
) -> tuple[str, ...]:
    """Return what a cursor is good for: one list of one client, asked for with the same filters."""
    asked = {name: text for name, text in sorted(values.items()) if name in filters}
    return (*about, urlencode(asked))


@dataclass(frozen=True, slots=True)
class Paging:
    """One request for a page of a list: its parameters, and what its cursors are bound to."""

    request: Request
    service: Service
    values: Mapping[str, str]
    bound_to: tuple[str, ...]

    def place(self, kind: Any) -> Any:
        """Return where the page before ended, as ``kind``; nothing for the first page.

        Raises:
            InvalidRequest: the cursor is none of ours, or is one of another query.
        """
        if "cursor" not in self.values:
            return None
        opened = self.service.cursors.open(self.values["cursor"], self.bound_to)
        return msgspec.json.decode(opened, type=kind)

    def answer(
        self,
        found: Sequence[T],
        limit: int,
        *,
        item: Callable[[T], object],
        place: Callable[[T], object],
        beside: Mapping[str, object] | None = None,
    ) -> Response:
        """Return the first ``limit`` of what was found, with a cursor when there is more.

        ``beside`` is what else the first page says.
        """
        page = found[:limit]
        document: dict[str, Any] = {"items": [item(row) for row in page]}
        if beside and "cursor" not in self.values:
            document |= beside
        headers = {}
        if len(found) > limit:
            sealed = self.service.cursors.seal(msgspec.json.encode(place(page[-1])), self.bound_to)
            document["nextCursor"] = sealed
            headers["Link"] = next_link(self.request, self.service, self.values, sealed)
        return answer(document, headers=headers)


def next_link(request: Request, service: Service, values: Mapping[str, str], cursor: str) -> str:
    """Return the ``Link`` to the next page: the same query from there."""
    query = urlencode({name: text for name, text in values.items() if name != "cursor"})
    address = f"{service.public_url}{request.scope['path']}"
    return f'<{address}?{query}{"&" if query else ""}cursor={cursor}>; rel="next"'
