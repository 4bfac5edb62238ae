"""The description of the routes about removals: what would disappear, announced purges."""

from api.openapi_parts import (
    CURSOR,
    DATE,
    IDEMPOTENCY_KEY,
    INSTANT,
    LIMIT,
    NULLABLE,
    OFFICE,
    REASON,
    STRING,
    Document,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    query_parameter,
    reference,
)
from ipregister.model import Right

_COUNT: Document = {"type": "integer", "minimum": 1}
_RIGHT = STRING | {"enum": [str(right) for right in Right]}

MISSING = operation(
    json_answer(reference("MissingPage"), "A page of records; empty when none would disappear"),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE, path_parameter("deliveryId", "The delivery", STRING), LIMIT, CURSOR],
)
MISSING["responses"]["200"]["content"] |= {
    "text/csv": {"schema": STRING},
    "application/x-ndjson": {"schema": STRING},
}
PURGE_APPROVALS = operation(
    json_answer(reference("PurgeApprovalPage"), "A page of announced purges"),
    *("400", "401", "403", "404", "406"),
    parameters=[OFFICE, query_parameter("right", "Only this right", _RIGHT), LIMIT, CURSOR],
)
APPROVE_PURGE = operation(
    json_answer(reference("PurgeApproval"), "The approval; the next delivery it covers uses it up"),
    *("400", "401", "403", "404", "413", "415", "422"),
    parameters=[OFFICE, IDEMPOTENCY_KEY],
    status="201",
) | {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": object_schema(
                    "right upTo reason",
                    right=_RIGHT,
                    upTo=_COUNT | {"description": "Records that may disappear"},
                    reason=STRING,
                    until={
                        "anyOf": [DATE, {"type": "null"}],
                        "description": "Last day (UTC); 30 days from now without it",
                    },
                )
            }
        },
    }
}
WITHDRAW_PURGE = (
    operation(
        json_answer(reference("PurgeApproval"), "The approval, which no delivery can use any more"),
        *("400", "401", "403", "404", "409", "413", "415"),
        parameters=[OFFICE, path_parameter("approvalId", "The approval", {"type": "integer"})],
    )
    | REASON
)

SCHEMAS: Document = {
    "MissingRecord": object_schema(
        "applicationNumber recordId applicationDate",
        applicationNumber=NULLABLE,
        recordId=STRING,
        applicationDate=NULLABLE,
    ),
    "MissingPage": object_schema(
        "items", items={"type": "array", "items": reference("MissingRecord")}, nextCursor=STRING
    ),
    "PurgeApproval": object_schema(
        "approvalId office right upTo until reason approvedAt approvedBy usedAt usedBy "
        "withdrawnAt withdrawnBy",
        approvalId={"type": "integer"},
        office=STRING,
        right=_RIGHT,
        upTo=_COUNT,
        until=DATE,
        reason=STRING,
        approvedAt=INSTANT,
        approvedBy=STRING,
        usedAt=NULLABLE,
        usedBy=NULLABLE | {"description": "The delivery that used it up"},
        withdrawnAt=NULLABLE,
        withdrawnBy=NULLABLE,
    ),
    "PurgeApprovalPage": object_schema(
        "items", items={"type": "array", "items": reference("PurgeApproval")}, nextCursor=STRING
    ),
}
