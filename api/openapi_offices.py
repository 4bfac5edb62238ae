"""The description of offices' routes: exchange history, packages, files, reports."""

from api.openapi_parts import (
    CURSOR,
    DATE,
    IDEMPOTENCY_KEY,
    INSTANT,
    LIMIT,
    NULLABLE,
    OFFICE,
    PROGRESS,
    REASON,
    RIGHT,
    STRING,
    Document,
    header_parameter,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    query_parameter,
    reference,
    words,
)
from connectors.ledger import UploadState
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from ipregister.quality import Severity

_DELIVERY = path_parameter("deliveryId", "The delivery", STRING)


_RIGHT = query_parameter("right", "Only this right", words(Right))

DELIVERIES = operation(
    json_answer(reference("DeliveryPage"), "A page of the exchange history"),
    *("400", "401", "403", "404", "406"),
    parameters=[
        OFFICE,
        _RIGHT,
        query_parameter("kind", "Only this kind", words(Kind)),
        query_parameter("state", "Only in these states, separated by commas", STRING),
        query_parameter("receivedFrom", "Arrived on this day (UTC) or later", DATE),
        query_parameter("receivedTo", "Arrived on this day (UTC) or before", DATE),
        LIMIT,
        CURSOR,
    ],
)
DELIVERY = operation(
    json_answer(reference("Delivery"), "The delivery with its events"),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE, _DELIVERY],
)
DECISION = (
    operation(
        json_answer(reference("Delivery"), "The delivery as it is now"),
        *("400", "401", "403", "404", "409", "412", "413", "415"),
        parameters=[
            OFFICE,
            _DELIVERY,
            header_parameter("If-Match", "`ETag` of the delivery you decided about"),
        ],
    )
    | REASON
)
REVERSAL = DECISION
FINDINGS = operation(
    json_answer(reference("FindingPage"), "Findings"),
    *("400", "401", "403", "404", "406"),
    parameters=[
        OFFICE,
        _DELIVERY,
        query_parameter("ruleCode", "Only of this rule", STRING),
        query_parameter("severity", "Only of these severities, separated by commas", STRING),
        query_parameter("recordId", "Only of this record", STRING),
        LIMIT,
        CURSOR,
    ],
)
FINDINGS["responses"]["200"]["content"] |= {
    "text/csv": {"schema": STRING},
    "application/x-ndjson": {"schema": STRING},
}
_BINARY = STRING | {"format": "binary"}
_ONE_FILE = ("application/zip", "application/xml", "text/csv", "application/octet-stream")
_SENT_BEFORE = object_schema("fileIds", fileIds={"type": "array", "items": STRING})
_NAMED_FILE = {"description": "Where the request names a file: that file, whatever is in it"}
PACKAGE = operation(
    json_answer(reference("Accepted"), "Taken in; ask at `Location` what became of it"),
    *("400", "401", "403", "404", "409", "413", "415", "422"),
    status="202",
    parameters=[
        OFFICE,
        RIGHT,
        query_parameter("kind", "What it is", words(Kind)) | {"required": True},
        query_parameter("name", "The file's name; or use `Content-Disposition`", STRING),
        IDEMPOTENCY_KEY,
        header_parameter("Content-Digest", "`sha-256=:…:` of the body (RFC 9530)"),
    ],
) | {
    "requestBody": {
        "required": True,
        "description": "One file; several as multipart; or JSON naming files sent before",
        "content": {
            **{name: {"schema": _BINARY} for name in _ONE_FILE},
            "multipart/form-data": {
                "schema": object_schema("file", file={"type": "array", "items": _BINARY})
            },
            "application/json": {"schema": {"anyOf": [_SENT_BEFORE, _NAMED_FILE]}},
        },
    }
}
_FILE = path_parameter("fileId", "The file", STRING)
_TICKET = query_parameter("ticket", "From `uploadUrl`", STRING) | {"required": True}
_INTENT = object_schema("name sha256 bytes", name=STRING, sha256=STRING, bytes={"type": "integer"})
UPLOAD_URL = operation(
    json_answer(reference("UploadUrl"), "Put the bytes at `uploadUrl`"),
    *("400", "401", "403", "404", "413", "415"),
    status="201",
) | {"requestBody": {"required": True, "content": {"application/json": {"schema": _INTENT}}}}
FILE = operation(
    json_answer(reference("File"), "Where it stands"),
    *("400", "401", "403", "404"),
    parameters=[_FILE],
)
FILE_OFFSET = operation(
    json_answer(reference("File"), "Where it stands; `Upload-Offset` says where to go on"),
    *("400", "401", "403", "404"),
    parameters=[_FILE, _TICKET],
)
FILE_CONTENT = operation(
    json_answer(reference("File"), "What is here now"),
    *("400", "401", "403", "404", "409", "415", "422"),
    parameters=[
        _FILE,
        _TICKET,
        header_parameter("Content-Range", "`bytes FIRST-LAST/LENGTH` of a part"),
        header_parameter("Content-Digest", "`sha-256=:…:` of this request's bytes (RFC 9530)"),
    ],
) | {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": _BINARY}},
    }
}
JOB = operation(
    json_answer(
        {"anyOf": [reference("Job"), reference("ExportJob")]},
        "Where it stands: a package of an office, or a third party's export",
    ),
    *("400", "401", "403", "404", "406"),
    parameters=[path_parameter("jobId", "The job", STRING)],
)
CANCEL_JOB = operation(
    json_answer(reference("ExportJob"), "It is cancelled"),
    *("400", "401", "403", "404", "406", "409"),
    parameters=[path_parameter("jobId", "The job", STRING)],
    status="202",
)

_OBJECT: Document = {"type": "object"}

_FILE_MEMBERS: Document = {
    **dict.fromkeys(("fileId", "office", "name", "sha256"), STRING),
    **dict.fromkeys(("bytes", "offset"), {"type": "integer"}),  # noqa: RUF024 - only read
    "reason": NULLABLE,
}

SCHEMAS: Document = {
    "Delivery": object_schema(
        "deliveryId office right kind channel state receivedAt files",
        **dict.fromkeys(("deliveryId", "office", "channel", "receivedBy", "identity"), STRING),
        right=words(Right),
        kind=words(Kind),
        state=words(State),
        reason=NULLABLE,
        receivedAt=INSTANT,
        officeDate=NULLABLE,
        officeSequence={"type": ["integer", "null"], "description": "Number within the day"},
        files={"type": "array", "items": reference("DeliveredFile")},
        receipt={"type": ["object", "null"], "description": "Counts of records; they add up"},
        findings={"type": ["object", "null"], "description": "Counts of findings by severity"},
        durations={"type": ["object", "null"], "description": "Seconds by step"},
        hold={
            "type": ["object", "null"],
            "description": "Why it is or was held: code, had, inThisFile, wouldDisappear, "
            "shareChanged, droppedFields, idChurn, samples, years, suggestion",
        },
        purgeApproval={
            "anyOf": [reference("PurgeApproval"), {"type": "null"}],
            "description": "The announced purge it used up; of one delivery only",
        },
        heldAt=NULLABLE,
        escalation={"type": ["object", "null"], "description": "level 0 to 3, days, inWords"},
        revertedAt=NULLABLE,
        revertedBy=NULLABLE,
        reversal={"type": ["object", "null"], "description": "What a revert did, in records"},
        events={"type": "array", "items": reference("DeliveryEvent")},
    ),
    "DeliveryEvent": object_schema(
        "state at actor", state=words(State), at=INSTANT, actor=STRING, reason=NULLABLE
    ),
    "DeliveryPage": object_schema(
        "items",
        items={"type": "array", "items": reference("Delivery")},
        nextCursor=STRING,
        sftpFolder=reference("FolderVisit"),
    ),
    # On the first page, where the office has a folder that was visited.
    "FolderVisit": object_schema(
        "office visitedAt total items",
        office=STRING,
        visitedAt=INSTANT,
        total={"type": "integer", "description": "Files in the folder that are in no delivery"},
        items={"type": "array", "items": reference("NotTaken"), "description": "At most 100"},
    ),
    "NotTaken": object_schema(
        "path reason waits since",
        path=STRING,
        reason=STRING,
        waits={"type": "boolean", "description": "A later visit takes it, or may"},
        since=NULLABLE,
    ),
    "Finding": object_schema(
        "ruleCode severity message state",
        **dict.fromkeys(
            ("recordId", "applicationNumber", "field", "elementPath", "file", "value"), NULLABLE
        ),
        ruleCode=STRING,
        severity=words(Severity),
        line={"type": ["integer", "null"]},
        message=STRING,
        remedy=NULLABLE,
        suggestedValue=NULLABLE,
        state=STRING,
    ),
    "FindingPage": object_schema(
        "items", items={"type": "array", "items": reference("Finding")}, nextCursor=STRING
    ),
    "Accepted": object_schema(
        "jobId status deliveryId files",
        **dict.fromkeys(("jobId", "status", "deliveryId"), STRING),
        files={"type": "array", "items": reference("DeliveredFile")},
    ),
    "DeliveredFile": object_schema(
        "name sha256 bytes", name=STRING, sha256=STRING, bytes={"type": "integer"}
    ),
    "File": object_schema(
        "fileId name sha256 bytes offset state", **_FILE_MEMBERS, state=words(UploadState)
    ),
    "UploadUrl": object_schema(
        "fileId uploadUrl expiresAt state",
        **_FILE_MEMBERS,
        state=words(UploadState),
        uploadUrl=STRING | {"format": "uri"},
        expiresAt=INSTANT,
    ),
    "Job": object_schema(
        "jobId status progress createdDateTime updatedDateTime links",
        **dict.fromkeys(("jobId", "deliveryId", "status", "state"), STRING),
        progress=PROGRESS,
        reason=NULLABLE,
        createdDateTime=INSTANT,
        updatedDateTime=INSTANT,
        receipt={"type": ["object", "null"]},
        errors={"type": "array", "items": _OBJECT},
        links=_OBJECT,
    ),
}
