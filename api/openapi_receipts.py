"""The description of the routes about access receipts."""

from api.openapi_parts import (
    CURSOR,
    DATE,
    INSTANT,
    LIMIT,
    OFFICE,
    STRING,
    Document,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    query_parameter,
    reference,
)
from connectors.receipts.journal import Route
from ipregister.model import Disclosure, Right

_NUMBER: Document = {"type": "integer"}
_RIGHT: Document = STRING | {"enum": [str(right) for right in Right]}
_NAMES: Document = {"type": "array", "items": STRING}

_PERIOD = [
    query_parameter("right", "Only of this right", _RIGHT),
    query_parameter("thirdParty", "Only of this third party", STRING),
    query_parameter("readFrom", "Read on this day (UTC) or later", DATE),
    query_parameter("readTo", "Read on this day (UTC) or before", DATE),
]
RECEIPTS = operation(
    json_answer(
        {"anyOf": [reference("AccessReceiptPage"), reference("UsageList")]},
        "A page of receipts, newest first; counts only for who may read those",
    ),
    *("400", "401", "403", "404", "406"),
    parameters=[
        OFFICE,
        query_parameter("recordId", "Only answers that held this record", STRING),
        *_PERIOD,
        LIMIT,
        CURSOR,
    ],
)
NAMED = operation(
    json_answer(
        object_schema("records retracted", records=_NAMES, retracted=_NAMES),
        "The records one answer held, and those it took back",
    ),
    *("400", "401", "403", "404", "406"),
    parameters=[
        OFFICE,
        path_parameter(
            "requestId",
            "`requestId` of a receipt: what the reader sent as `X-Request-Id`, and more",
            STRING,
        ),
    ],
)
USAGE = operation(
    json_answer(reference("UsageList"), "How much each third party read of each right"),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE, *_PERIOD],
)

SCHEMAS: Document = {
    "AccessReceipt": object_schema(
        "at requestId thirdParty clientId officeCode right route authorizationVersion records",
        at=INSTANT,
        **dict.fromkeys(("requestId", "thirdParty", "clientId", "officeCode"), STRING),
        right=_RIGHT,
        route=STRING | {"enum": [str(route) for route in Route]},
        authorizationVersion=_NUMBER,
        classes={"type": "array", "items": STRING | {"enum": [str(name) for name in Disclosure]}},
        records=_NUMBER,
        retracted=_NUMBER,
        snapshotId={"type": ["string", "null"]},
        acknowledgedAt={"type": ["string", "null"], "format": "date-time"},
    ),
    "AccessReceiptPage": object_schema(
        "items", items={"type": "array", "items": reference("AccessReceipt")}, nextCursor=STRING
    ),
    "UsageList": object_schema("items", items={"type": "array", "items": reference("Usage")}),
    "Usage": object_schema(
        "thirdParty right answers records firstAt lastAt retractionsOpen",
        thirdParty=STRING,
        right=_RIGHT,
        **dict.fromkeys(("answers", "records", "retractionsOpen"), _NUMBER),
        firstAt=INSTANT,
        lastAt=INSTANT,
    ),
}
