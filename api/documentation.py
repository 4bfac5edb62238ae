"""The description of the API as a page for people, at ``/docs``.

Made from the OpenAPI document alone, once per process; needs no script, no font and no other
host, and its policy lets nothing through but its own style, known by its hash. What routes
promise is in the description; nothing is said here that is not there.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from api import openapi
from api.problems import REFUSALS

POLICY = (
    "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
METHODS = ("get", "post", "put", "delete")

Document = dict[str, Any]

router = APIRouter(tags=["Operation"])


@dataclass(frozen=True, slots=True)
class Operation:
    """One route, as the page tells it."""

    method: str
    path: str
    described: Document

    @property
    def anchor(self) -> str:
        """Return the name of its place on the page."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.method} {self.path}".lower()).strip("-")

    @property
    def heading(self) -> str:
        """Return the first line of what it does."""
        return str(self.described["description"]).partition("\n")[0]

    @property
    def more(self) -> str:
        """Return the rest of what it does."""
        return str(self.described["description"]).partition("\n")[2].strip()


@router.get("/docs", openapi_extra=openapi.DOCS)
async def read_documentation(request: Request) -> Response:
    """Return this description as a page to read."""
    app: FastAPI = request.scope["app"]
    if not hasattr(app.state, "documentation"):
        app.state.documentation = render(app.openapi())
    page, policy = app.state.documentation
    headers = {"Cache-Control": "public, max-age=300", "Content-Security-Policy": policy}
    return Response(page, 200, headers, "text/html")


def render(description: Document) -> tuple[str, str]:
    """Return the page and the policy it is to be sent with."""
    templates = _templates()
    style = templates.get_template("docs.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = templates.get_template("docs.html.j2").render(
        about=description["info"],
        address=description["servers"][0]["url"],
        tags=_by_tag(description),
        schemas=description["components"]["schemas"],
        refusals=REFUSALS,
        style=style,
    )
    return page, POLICY.format(digest)


def _by_tag(description: Document) -> dict[str, list[Operation]]:
    tags: dict[str, list[Operation]] = {}
    for path, methods in description["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = Operation(method.upper(), path, methods[method])
                tags.setdefault(operation.described["tags"][0], []).append(operation)
    return tags


def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("api", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"prose": prose, "type": type_of, "members": members, "json": _json}
    return made


def prose(text: str) -> str:
    """Return text as HTML, with what stands in backticks as code."""
    parts = html.escape(text).split("`")
    return "".join(
        f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts)
    )


def type_of(schema: Document) -> str:
    """Return as HTML in a few words what a value is; a schema with a name as a link to it."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for word, joint in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if word in schema:
            return joint.join(type_of(part) for part in schema[word])
    kind = schema.get("type", "object")
    kinds = kind if isinstance(kind, list) else [kind]
    if "array" in kinds:
        return f"list of {type_of(schema.get('items', {}))}"
    told = " or ".join(kinds)
    if "format" in schema:
        told = f"{told} ({schema['format']})"
    if "enum" in schema:
        told = f"one of {', '.join(map(str, schema['enum']))}"
    bounds = [f"{word} {schema[name]}" for name, word in _BOUNDS.items() if name in schema]
    return html.escape(", ".join([told, *bounds]))


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "characters at least",
    "maxLength": "characters at most",
    "default": "usually",
}


def members(schema: Document) -> Iterator[tuple[str, Document, bool]]:
    """Yield the members of an object: name, schema, whether it is always there."""
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield name, inner, name in required


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
