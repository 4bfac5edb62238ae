"""The description of bulk: exports, snapshots, Delta Sharing."""

from typing import get_args

from api.openapi_parts import (
    IDEMPOTENCY_KEY,
    PROGRESS,
    STRING,
    Document,
    header_parameter,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    query_parameter,
    reference,
)
from connectors.exports.tasks import FILE_TYPES, PREPARED, State
from ipregister.model import Right

_INTEGER: Document = {"type": "integer"}
_VALUE: Document = {"anyOf": [STRING, _INTEGER, {"type": "array", "items": STRING}]}
_RANGES = [
    header_parameter("Range", "One range of bytes, to resume a transfer"),
    header_parameter("If-Range", "`ETag` of the file the range is of"),
]

EXPORT = operation(
    json_answer(reference("ExportJob"), "The job; it exists before anything was prepared"),
    *("400", "401", "403", "404", "413", "415", "422"),
    parameters=[IDEMPOTENCY_KEY],
    status="202",
) | {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": reference("ExportRequest")}},
    }
}
SNAPSHOT = operation(
    {
        "description": "The file",
        "content": {
            media_type: {"schema": STRING | {"format": "binary"}}
            for media_type in dict.fromkeys(FILE_TYPES.values())
        },
    },
    *("400", "401", "404", "410"),
    parameters=[path_parameter("snapshotId", "From `downloads` of the job", STRING), *_RANGES],
)
_PARTS = {
    "206": {"description": "The part asked for"},
    "304": {"description": "You have it"},
    "416": {"description": "The file ends before this range"},
}
SNAPSHOT["responses"] |= _PARTS

_SHARE = path_parameter("share", "ST.3 code of the office", STRING)
_SCHEMA = path_parameter("schema", "Always `register`", STRING)
_TABLE = path_parameter("table", "Which right", STRING | {"enum": [str(r) for r in Right]})
_PAGE = [
    query_parameter("maxResults", "How many at most", _INTEGER | {"minimum": 1}),
    query_parameter("pageToken", "`nextPageToken` of the answer before", STRING),
]
_LIST = json_answer(reference("DeltaSharingList"), "Shares, schemas or tables")
_LINES: Document = {
    "description": "Lines of JSON as the Delta Sharing protocol has them",
    "headers": {"Delta-Table-Version": {"schema": _INTEGER}},
    "content": {"application/x-ndjson": {"schema": STRING}},
}

DELTA_SHARES = operation(_LIST, "400", "401", parameters=_PAGE)
DELTA_SHARE = operation(
    json_answer({"type": "object"}, "The share"), "400", "401", "404", parameters=[_SHARE]
)
DELTA_SCHEMAS = operation(_LIST, "400", "401", "404", parameters=[_SHARE, *_PAGE])
DELTA_TABLES = operation(_LIST, "400", "401", "404", parameters=[_SHARE, _SCHEMA, *_PAGE])
DELTA_ALL_TABLES = operation(_LIST, "400", "401", "404", parameters=[_SHARE, *_PAGE])
DELTA_VERSION = operation(
    {"description": "The version, in `Delta-Table-Version`"},
    *("400", "401", "404"),
    parameters=[_SHARE, _SCHEMA, _TABLE],
)
DELTA_METADATA = operation(dict(_LINES), "400", "401", "404", parameters=[_SHARE, _SCHEMA, _TABLE])
DELTA_QUERY = operation(
    dict(_LINES), *("400", "401", "404", "413", "415"), parameters=[_SHARE, _SCHEMA, _TABLE]
) | {
    "requestBody": {
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
DELTA_FILE = operation(
    {
        "description": "The file",
        "content": {FILE_TYPES[PREPARED[0]]: {"schema": STRING | {"format": "binary"}}},
    },
    *("400", "404", "410"),
    parameters=[path_parameter("fileToken", "From a query", STRING), *_RANGES],
) | {"security": []}
DELTA_FILE["responses"] |= _PARTS
DELTA_PROFILE = operation(
    json_answer({"type": "object"}, "A profile file for Delta Sharing clients"),
    *("400", "401", "403"),
    parameters=[
        query_parameter(
            "type",
            "With a place for your secret, or with the token you ask with",
            STRING | {"enum": ["oauth_client_credentials", "bearer_token"]},
        )
    ],
)

SCHEMAS: Document = {
    "ExportRequest": object_schema(
        "office right",
        office=STRING,
        right=STRING | {"enum": [str(right) for right in Right]},
        format=STRING | {"enum": [str(kind) for kind in PREPARED], "default": "parquet"},
        filters={"type": "object", "additionalProperties": _VALUE},
    ),
    "ExportJob": object_schema(
        "jobId status progress",
        jobId=STRING,
        status=STRING | {"enum": list(get_args(State))},
        progress=PROGRESS,
        createdDateTime=STRING | {"format": "date-time"},
        updatedDateTime=STRING | {"format": "date-time"},
        expiresDateTime=STRING | {"format": "date-time"},
        downloads={"type": "array", "items": reference("ExportFile")},
        errors={
            "type": "array",
            "items": object_schema("code message", code=STRING, message=STRING),
        },
    ),
    "ExportFile": object_schema(
        "url snapshotId fileName mediaType bytes sha256 records",
        **dict.fromkeys(("url", "snapshotId", "fileName", "mediaType", "sha256"), STRING),
        bytes=_INTEGER,
        records=_INTEGER,
    ),
    "DeltaSharingList": object_schema(
        "items",
        items={"type": "array", "items": {"type": "object"}},
        nextPageToken=STRING,
    ),
}
