"""Pieces every description of a route is made of.

Standard: OpenAPI 3.1.
"""

from collections.abc import Iterable
from typing import Any

from api.parameters import DEFAULT_LIMIT, MAX_LIMIT
from ipregister.model import Right

Document = dict[str, Any]
"""A part of the description; its form is OpenAPI's."""

BEARER: list[Document] = [{"bearer": []}]
STRING: Document = {"type": "string"}
DATE: Document = STRING | {"format": "date"}
INSTANT: Document = STRING | {"format": "date-time"}
NULLABLE: Document = {"type": ["string", "null"]}

PROBLEMS = {
    "400": "A parameter is unknown, repeated, not valid, or uses a field you may not see",
    "401": "No valid access token",
    "403": "Your role, or the scope of your token, does not allow this",
    "404": "It does not exist or is not shared with you",
    "406": "None of the forms you take; the answer lists those there are",
    "409": "Somebody or something changed it; read it again and decide",
    "410": "Withdrawn by the office, or the cursor is too old",
    "412": "It changed since you read it (`If-Match`)",
    "413": "Larger than this hub takes",
    "415": "Not a form this hub takes",
    "422": "Readable, but not what you said it is",
    "428": "Say with `If-Match` which version you decide about",
    "429": "A quota of this client is used up; `Retry-After` says when to go on",
    "503": "Busy, or in trouble; `Retry-After` says when to try again",
}

QUOTAS: Document = {
    "RateLimit-Policy": {
        "description": "Quotas of requests and of rows: `q` in `w` seconds",
        "schema": STRING,
    },
    "RateLimit": {
        "description": "What is left (`r`), and in how many seconds it is full again (`t`)",
        "schema": STRING,
    },
}
"""Headers of every answer to a client that is known."""

REQUEST_ID: Document = {
    "X-Request-Id": {"description": "Quote it when you ask about an answer", "schema": STRING}
}
"""Of every answer."""

_RETRY_AFTER: Document = {
    "Retry-After": {"description": "Seconds until you may go on", "schema": STRING}
}

HEADERS: dict[str, Document] = {
    "401": {
        "WWW-Authenticate": {
            "description": "How to authenticate, and what was wrong",
            "schema": STRING,
        }
    },
    "429": _RETRY_AFTER,
    "503": _RETRY_AFTER,
}
"""Of answers with these statuses, beside those of every answer."""


def words(allowed: Iterable[object]) -> Document:
    """Describe a text that is one of these."""
    return STRING | {"enum": [str(word) for word in allowed]}


def reference(name: str) -> Document:
    """Refer to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_answer(
    schema: Document, description: str, media_type: str = "application/json"
) -> Document:
    """Describe an answer in one form."""
    return {"description": description, "content": {media_type: {"schema": schema}}}


def problem_answer(code: str) -> Document:
    """Describe a problem."""
    return json_answer(reference("Problem"), PROBLEMS[code], "application/problem+json")


def query_parameter(name: str, description: str, schema: Document) -> Document:
    """Describe a query parameter."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def path_parameter(name: str, description: str, schema: Document) -> Document:
    """Describe a part of the path."""
    return query_parameter(name, description, schema) | {"in": "path", "required": True}


def header_parameter(name: str, description: str) -> Document:
    """Describe a request header."""
    return query_parameter(name, description, STRING) | {"in": "header"}


def operation(
    answer: Document, *codes: str, parameters: list[Document] | None = None, status: str = "200"
) -> Document:
    """Describe a route by its answer, the problems it may answer and its parameters."""
    problems = {code: problem_answer(code) for code in (*codes, "429", "503")}
    described: Document = {"security": BEARER, "responses": {status: answer, **problems}}
    for response in described["responses"].values():
        response["headers"] = QUOTAS
    return described | ({"parameters": parameters} if parameters else {})


def object_schema(required: str, **properties: Document) -> Document:
    """Describe an object; ``required`` names members separated by spaces."""
    return {"type": "object", "properties": properties, "required": required.split()}


PROGRESS: Document = {"type": "integer", "minimum": 0, "maximum": 100}
"""Percent of a job that is done."""

LIMIT = query_parameter(
    "limit",
    "How many at most",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
CURSOR = query_parameter("cursor", "`nextCursor` of an answer to the same query", STRING)
OFFICE = path_parameter("office", "ST.3 code of the office", STRING | {"examples": ["KH"]})
RIGHT = path_parameter("right", "Which right", STRING | {"enum": [str(r) for r in Right]})
IDEMPOTENCY_KEY = header_parameter("Idempotency-Key", "The same for the same request sent again")


REASON: Document = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": object_schema("reason", reason=STRING)}},
    }
}
"""What a decision of an office takes: why."""
