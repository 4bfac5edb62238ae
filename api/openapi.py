"""The description of the API: what routes answer, records as the tables define them.

Handlers return ready bytes, so their answers are described here; a contract test compares
the description with a snapshot and answers with the description.

Standard: OpenAPI 3.1; designed after WIPO ST.90, self-assessed, not certified.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI

from api.negotiation import FEED_FORMATS, RECORD_FORMATS
from api.parameters import DEFAULT_LIMIT, FILTERS, MAX_LIMIT
from connectors.exports.formats import MEDIA_TYPES, Format
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

Document = dict[str, Any]
"""A part of the description; its form is OpenAPI's."""

BEARER: list[Document] = [{"bearer": []}]


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Document, description: str, media_type: str = "application/json") -> Document:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _query(name: str, description: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _path(name: str, description: str, schema: Document) -> Document:
    return _query(name, description, schema) | {"in": "path", "required": True}


_PROBLEMS = {
    "400": "A parameter is unknown, repeated, not valid, or uses a field you may not see",
    "401": "No valid access token",
    "404": "It does not exist or is not shared with you",
    "406": "None of the forms you take; the answer lists those there are",
    "410": "Withdrawn by the office, or the cursor is too old",
    "429": "A quota of this client is used up; `Retry-After` says when to go on",
}


_QUOTAS: Document = {
    "RateLimit-Policy": {
        "description": "Quotas of requests and of rows: `q` in `w` seconds",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What is left (`r`), and in how many seconds it is full again (`t`)",
        "schema": {"type": "string"},
    },
}
"""Headers of every answer to a client that is known."""


def _operation(answer: Document, *codes: str, parameters: list[Document] | None = None) -> Document:
    problems = {
        code: _json(_ref("Problem"), _PROBLEMS[code], "application/problem+json")
        for code in (*codes, "429")
    }
    operation: Document = {"security": BEARER, "responses": {"200": answer, **problems}}
    for response in operation["responses"].values():
        response["headers"] = _QUOTAS
    return operation | ({"parameters": parameters} if parameters else {})


_LIMIT = _query(
    "limit",
    "How many at most",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
_CURSOR = _query("cursor", "`nextCursor` of an answer to the same query", {"type": "string"})
_ANY_RECORD: Document = {"anyOf": [_ref(f"{right}Record") for right in Right]}

_OFFICE = _path("office", "ST.3 code of the office", {"type": "string", "examples": ["KH"]})
_RIGHT = _path("right", "Which right", {"type": "string", "enum": [str(r) for r in Right]})

_FIELDS = _query(
    "fields",
    "Only these fields, separated by commas; `recordId` always is there",
    {"type": "string"},
)


def _forms(answer: Document, kinds: Sequence[Format]) -> Document:
    """Return an answer in JSON that is also to be had in other forms."""
    for kind in kinds:
        text = kind not in (Format.PARQUET, Format.ARROW)
        schema = {"type": "string"} | ({} if text else {"format": "binary"})
        answer["content"].setdefault(MEDIA_TYPES[kind], {"schema": schema})
    return answer


RECORD = _operation(
    _forms(_json(_ANY_RECORD, "The record"), RECORD_FORMATS),
    *("400", "401", "404", "406", "410"),
    parameters=[_OFFICE, _RIGHT, _path("recordId", "The record", {"type": "string"}), _FIELDS],
)
RECORD["responses"]["304"] = {"description": "Unchanged for you since that `ETag`"}
RECORDS = _operation(
    _forms(_json(_ref("RecordPage"), "A page of records"), RECORD_FORMATS),
    *("400", "401", "404", "406"),
    parameters=[
        _OFFICE,
        _RIGHT,
        _LIMIT,
        _CURSOR,
        _FIELDS,
        *(_query(name, f.description, dict(f.schema)) for name, f in FILTERS.items()),
    ],
)
CHANGES = _operation(
    _forms(
        _json(_ref("ChangePage"), "Changes, oldest first within one office and right"),
        FEED_FORMATS,
    ),
    *("400", "401", "404", "406", "410"),
    parameters=[
        _query("office", "Only this office (ST.3 code)", {"type": "string"}),
        _query("right", "Only this right", {"type": "string", "enum": [str(r) for r in Right]}),
        _CURSOR,
        _LIMIT,
    ],
)
ME = _operation(_json({"type": "object"}, "Client, third party, authorizations"), "400", "401")
OFFICES = _operation(_json({"type": "object"}, "Offices, rights, counts"), "400", "401")
METADATA: Document = {"responses": {"200": _json({"type": "object"}, "Metadata")}}
KEYS: Document = {
    "responses": {
        "200": _json({"type": "object"}, "Keys, a JWK Set", "application/jwk-set+json"),
    }
}
HEALTH: Document = {"responses": {"200": _json({"type": "object"}, "It is")}}

_CREDENTIALS = {
    name: {"type": "string"}
    for name in ("client_id", "client_secret", "client_assertion_type", "client_assertion")
}


def _form(properties: Document, required: list[str]) -> Document:
    schema = {"type": "object", "properties": properties | _CREDENTIALS, "required": required}
    return {"content": {"application/x-www-form-urlencoded": {"schema": schema}}}


_OAUTH_ERRORS = {
    "400": _json(_ref("OAuthError"), "The request is malformed"),
    "401": _json(_ref("OAuthError"), "Client authentication failed"),
    "429": _json(_ref("OAuthError"), "Too many failed attempts from this address"),
}
_DPOP: list[Document] = [
    {
        "name": "DPoP",
        "in": "header",
        "description": "Proof of possession (RFC 9449): the token is bound to its key",
        "schema": {"type": "string"},
    }
]
TOKEN: Document = {
    "requestBody": _form(
        {
            "grant_type": {"type": "string", "enum": ["client_credentials"]},
            "scope": {"type": "string"},
        },
        ["grant_type"],
    ),
    "parameters": _DPOP,
    "responses": {"200": _json(_ref("Token"), "An access token"), **_OAUTH_ERRORS},
}
REVOKE: Document = {
    "requestBody": _form({"token": {"type": "string"}}, ["token"]),
    "responses": {"200": {"description": "The token is worthless now"}, **_OAUTH_ERRORS},
}
INTROSPECT: Document = {
    "requestBody": _form({"token": {"type": "string"}}, ["token"]),
    "responses": {"200": _json(_ref("Introspection"), "What it is worth"), **_OAUTH_ERRORS},
}


def _object(required: str, **properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": required.split()}


_STRING: Document = {"type": "string"}

SCHEMAS: Document = {
    "Problem": _object(
        "type title status detail code requestId",
        **dict.fromkeys(("type", "title", "detail", "code", "requestId"), _STRING),
        status={"type": "integer"},
    ),
    "OAuthError": _object("error", error=_STRING, error_description=_STRING),
    "Token": _object(
        "access_token token_type expires_in",
        access_token=_STRING,
        token_type={"type": "string", "enum": ["Bearer", "DPoP"]},
        expires_in={"type": "integer"},
        scope=_STRING,
    ),
    "Introspection": _object(
        "active",
        active={"type": "boolean"},
        **dict.fromkeys(["client_id", "sub", "iss", "aud", "token_type", "scope"], _STRING),
        iat={"type": "integer"},
        exp={"type": "integer"},
        cnf=_object("jkt", jkt=_STRING),
    ),
    "RecordPage": _object(
        "items", items={"type": "array", "items": _ANY_RECORD}, nextCursor=_STRING
    ),
    "ChangePage": _object(
        "items hasMore nextCursor",
        items={"type": "array", "items": _ref("Change")},
        hasMore={"type": "boolean"},
        nextCursor=_STRING,
    ),
    "Change": _object(
        "changeType cause officeCode right recordId",
        changeType={"type": "string", "enum": ["upsert", "delete", "retract"]},
        cause={"type": "string", "enum": ["source", "processing", "authorization"]},
        officeCode=_STRING,
        right={"type": "string", "enum": [str(right) for right in Right]},
        recordId=_STRING,
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
        for operation in path.values():
            operation["responses"].pop("422", None)
    records = {f"{right}Record": _record(right) for right in Right}
    description["components"] = {
        "schemas": SCHEMAS | records,
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "Tokens that are bound to a key go with `Authorization: DPoP` "
                "and a `DPoP` header instead (RFC 9449).",
            }
        },
    }
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
_TEXT = _object("text", text=_STRING, languageCode=_STRING)


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
            schema = {"type": "array", "items": _STRING}
        case scalar:
            schema = dict(_SCALARS[scalar])
    values: Document = {"enum": list(member.values)} if member.values else {}
    return schema | values | {"description": member.description}
