"""The description of the API: what routes answer, records as the tables define them.

Handlers return ready bytes, so their answers are described here; a contract test compares
the description with a snapshot and answers with the description.

Standard: OpenAPI 3.1; designed after WIPO ST.90, self-assessed, not certified.
"""

from collections.abc import Callable, Sequence

from fastapi import FastAPI

from api import (
    openapi_authorizations,
    openapi_examples,
    openapi_exports,
    openapi_history,
    openapi_oauth,
    openapi_offices,
    openapi_receipts,
    openapi_removals,
    openapi_reports,
    openapi_webhooks,
)
from api.negotiation import FEED_FORMATS, RECORD_FORMATS
from api.openapi_parts import (
    BEARER,
    CURSOR,
    HEADERS,
    LIMIT,
    OFFICE,
    QUOTAS,
    REQUEST_ID,
    RIGHT,
    STRING,
    Document,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    problem_answer,
    query_parameter,
    reference,
)
from api.parameters import FILTERS, SORTS
from connectors.exports.formats import MEDIA_TYPES, Format
from connectors.serving_store import Count
from ipregister.model import Disclosure, Member, Right, load_tables

TITLE = "ASEAN IP data-sharing hub"
VERSION = "1.0.0"
DESCRIPTION = (
    "Industrial property records of the participating offices, as far as each office lets a "
    "third party see them. Get a token at `POST /oauth2/token`, see `GET /v1/me` for what you "
    "may see, page through records or follow the change feed. A member that is absent is "
    "unknown or not shared with you; which, the hub does not tell. Designed after WIPO ST.90; "
    "self-assessed, not certified."
)

_ANY_RECORD: Document = {"anyOf": [reference(f"{right}Record") for right in Right]}

_FIELDS = query_parameter(
    "fields",
    "Only these fields, separated by commas; `recordId` always is there",
    {"type": "string"},
)


_SORT = query_parameter(
    "sort",
    "In which order; `-` for descending. Records of one number are in the order of `recordId`",
    {"type": "string", "enum": list(SORTS), "default": "applicationNumber"},
)


_COUNT = query_parameter(
    "count",
    "How many records there are on all pages, after filters and as far as you may see them: in "
    "`count`, in other forms than JSON in `X-Total-Count`. An `estimate` is that of a sample of "
    "10,000, and exact where there are fewer or nothing is filtered",
    {"type": "string", "enum": list(Count), "default": Count.NONE},
)


def _forms(answer: Document, kinds: Sequence[Format]) -> Document:
    """Return an answer in JSON that is also to be had in other forms."""
    for kind in kinds:
        text = kind not in (Format.PARQUET, Format.ARROW)
        schema = {"type": "string"} | ({} if text else {"format": "binary"})
        answer["content"].setdefault(MEDIA_TYPES[kind], {"schema": schema})
    return answer


RECORD = operation(
    _forms(json_answer(_ANY_RECORD, "The record"), RECORD_FORMATS),
    *("400", "401", "404", "406", "410"),
    parameters=[
        OFFICE,
        RIGHT,
        path_parameter("recordId", "The record", {"type": "string"}),
        _FIELDS,
    ],
)
RECORD["responses"]["304"] = {"description": "Unchanged for you since that `ETag`"}
RECORDS = operation(
    _forms(json_answer(reference("RecordPage"), "A page of records"), RECORD_FORMATS),
    *("400", "401", "404", "406"),
    parameters=[
        OFFICE,
        RIGHT,
        LIMIT,
        CURSOR,
        _FIELDS,
        _SORT,
        _COUNT,
        *(query_parameter(name, f.description, dict(f.schema)) for name, f in FILTERS.items()),
    ],
)
RECORDS["responses"]["200"]["headers"] = QUOTAS | {
    "X-Total-Count": {"description": "Where `count` asks for it, but in JSON", "schema": STRING}
}
CHANGES = operation(
    _forms(
        json_answer(reference("ChangePage"), "Changes, oldest first within one office and right"),
        FEED_FORMATS,
    ),
    *("400", "401", "403", "404", "406", "410"),
    parameters=[
        query_parameter("office", "Only this office (ST.3 code)", {"type": "string"}),
        query_parameter("right", "Only this right", RIGHT["schema"]),
        CURSOR,
        LIMIT,
    ],
)
ME = operation(json_answer({"type": "object"}, "Client, third party, authorizations"), "400", "401")
OFFICES = operation(json_answer({"type": "object"}, "Offices, rights, counts"), "400", "401")
METADATA: Document = {"responses": {"200": json_answer({"type": "object"}, "Metadata")}}
KEYS: Document = {
    "responses": {
        "200": json_answer({"type": "object"}, "Keys, a JWK Set", "application/jwk-set+json"),
    }
}
METRICS = operation(
    {
        "description": "Counts, as Prometheus reads them",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    },
    *("401", "403"),
) | {"security": [*BEARER, {}]}
"""No token is asked of who calls from the machine itself."""
DOCS: Document = {
    "responses": {
        "200": {
            "description": "The page; it loads nothing from anywhere",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
    }
}
HEALTH: Document = {"responses": {"200": json_answer({"type": "object"}, "It is")}}
READINESS: Document = {"responses": HEALTH["responses"] | {"503": problem_answer("503")}}

SCHEMAS: Document = {
    "Problem": object_schema(
        "type title status detail code requestId",
        **dict.fromkeys(("type", "title", "detail", "code", "requestId"), STRING),
        status={"type": "integer"},
    ),
    "RecordPage": object_schema(
        "items",
        items={"type": "array", "items": _ANY_RECORD},
        count={"type": "integer", "minimum": 0},
        nextCursor=STRING,
    ),
    "ChangePage": object_schema(
        "items hasMore nextCursor",
        items={"type": "array", "items": reference("Change")},
        hasMore={"type": "boolean"},
        nextCursor=STRING,
    ),
    "Change": object_schema(
        "changeType cause officeCode right recordId",
        changeType={"type": "string", "enum": ["upsert", "delete", "retract"]},
        cause={"type": "string", "enum": ["source", "processing", "authorization"]},
        officeCode=STRING,
        right={"type": "string", "enum": [str(right) for right in Right]},
        recordId=STRING,
        record=_ANY_RECORD,
    ),
}


def install(app: FastAPI) -> None:
    """Make ``app`` describe itself with the schemas of the tables."""
    plain: Callable[[], Document] = app.openapi

    def describe() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(plain())
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _complete(description: Document) -> Document:
    """Add our schemas; take out the framework's validation errors, which we do not answer."""
    for path in description["paths"].values():
        for described in path.values():
            if "HTTPValidationError" in str(described["responses"].get("422")):
                del described["responses"]["422"]
            for status, answer in described["responses"].items():
                told = answer.get("headers", {}) | REQUEST_ID | HEADERS.get(status, {})
                answer["headers"] = told
                # What the framework says of every route, also of those that answer no JSON.
                if answer.get("content", {}).get("application/json") == {"schema": {}}:
                    del answer["content"]["application/json"]
                    if not answer["content"]:
                        del answer["content"]
    records = {f"{right}Record": _record(right) for right in Right}
    parts = (
        *(openapi_authorizations, openapi_oauth, openapi_exports, openapi_history, openapi_offices),
        *(openapi_receipts, openapi_removals, openapi_reports, openapi_webhooks),
    )
    others = {name: schema for part in parts for name, schema in part.SCHEMAS.items()}
    description["components"] = {
        "schemas": SCHEMAS | others | records,
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "Tokens that are bound to a key go with `Authorization: DPoP` "
                "and a `DPoP` header instead (RFC 9449).",
            }
        },
    }
    openapi_examples.add_to(description)
    return description


def _record(right: Right) -> Document:
    table = load_tables()[right]
    properties = {}
    for field in table.fields:
        schema = _schema(field)
        # Core is what everybody gets; the rest depends on the office.
        if field.disclosure is not Disclosure.CORE:
            schema["x-disclosure"] = str(field.disclosure)
        properties[field.name] = schema
    return {"type": "object", "properties": properties, "required": ["recordId"]}


_SCALARS: dict[str, Document] = {
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
}
_TEXT = object_schema("text", text=STRING, languageCode=STRING)


def _schema(member: Member) -> Document:
    match member.type:
        case "struct" | "list":
            inner = {name.name: _schema(name) for name in member.fields}
            schema: Document = {"type": "object", "properties": inner}
            if member.type == "list":
                schema = {"type": "array", "items": schema}
        case "texts":
            schema = {"type": "array", "items": _TEXT}
        case "strings":
            schema = {"type": "array", "items": STRING}
        case scalar:
            schema = dict(_SCALARS[scalar])
    values: Document = {"enum": list(member.values)} if member.values else {}
    return schema | values | {"description": member.description}
