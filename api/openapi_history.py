"""The description of an office's history routes."""

from typing import Any

from api.openapi_parts import (
    INSTANT,
    LIMIT,
    NULLABLE,
    OFFICE,
    RIGHT,
    STRING,
    Document,
    json_answer,
    object_schema,
    operation,
    query_parameter,
    reference,
)

_OBJECT: Document = {"type": "object"}
_OBJECTS: Document = {"type": "array", "items": _OBJECT}
_A_POINT = "a published delivery, a date (its end, UTC) or an instant"


def _needed(name: str, description: str) -> dict[str, Any]:
    return query_parameter(name, description, STRING) | {"required": True}


_NUMBER = _needed("number", "Application number, or recordId")


def _route(schema: str, what: str, *parameters: Document) -> Document:
    return operation(
        json_answer(reference(schema), what),
        *("400", "401", "403", "404", "406"),
        parameters=[OFFICE, RIGHT, *parameters],
    )


RECORD = _route("RecordVersions", "Versions in the office's order", _NUMBER)
CHANGES = _route(
    "HistoryChanges",
    "Counts, and records by identifier",
    _needed("from", f"One point: {_A_POINT}"),
    _needed("to", f"The other point: {_A_POINT}"),
    LIMIT,
    query_parameter("after", "`after` of the page before", STRING),
)
AS_OF = _route(
    "HistoryState",
    "The register, or one record of it, as it was known",
    _needed("at", f"The point: {_A_POINT}"),
    query_parameter("number", "Only this record, with its content", STRING),
    LIMIT,
)
WHY = _route(
    "HistoryReasons",
    "A verdict, a sentence and the evidence",
    _NUMBER,
    query_parameter("thirdParty", "In whose eyes; takes `authorizations:read`", STRING),
)
LINEAGE = _route(
    "HistoryLineage",
    "File, member, line and the line's text",
    _NUMBER,
    query_parameter("field", "Such as `applicants[0].names`", STRING),
)

SCHEMAS: Document = {
    "RecordVersions": object_schema("recordId items", recordId=STRING, items=_OBJECTS),
    "HistoryChanges": object_schema(
        "from to counts items",
        **{"from": INSTANT},
        to=INSTANT,
        counts=_OBJECT,
        items=_OBJECTS,
        after=NULLABLE,
    ),
    "HistoryState": object_schema(
        "at",
        at=INSTANT,
        records={"type": "integer"},
        items=_OBJECTS,
        more={"type": "boolean"},
        recordId=STRING,
        deliveryId=STRING,
        officeOrder=STRING,
        record=_OBJECT,
    ),
    "HistoryReasons": object_schema(
        "recordId verdict sentence versions said findings places",
        recordId=STRING,
        verdict=STRING,
        sentence=STRING,
        **dict.fromkeys(("versions", "said", "findings", "places"), _OBJECTS),
    ),
    "HistoryLineage": object_schema(
        "recordId deliveryId file sha256 member line text",
        **dict.fromkeys(("recordId", "deliveryId", "file", "sha256", "member", "text"), STRING),
        line={"type": "integer"},
        field=NULLABLE,
        elementPath=NULLABLE,
        value={},
    ),
}
