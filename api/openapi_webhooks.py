"""The description of the routes about webhooks."""

from api.openapi_parts import (
    INSTANT,
    NULLABLE,
    STRING,
    Document,
    json_answer,
    object_schema,
    operation,
    path_parameter,
    reference,
)

_HOOK = path_parameter("webhookId", "The webhook", STRING)
_BODY: Document = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": object_schema("url", url=STRING)}},
    }
}

WEBHOOKS = operation(
    json_answer(
        object_schema("items", items={"type": "array", "items": reference("Webhook")}),
        "Your webhooks",
    ),
    *("400", "401", "403"),
)
ADD = (
    operation(
        json_answer(reference("WebhookWithSecret"), "The webhook; its secret is shown this once"),
        *("400", "401", "403", "413", "415"),
        status="201",
    )
    | _BODY
)
WEBHOOK = operation(
    json_answer(reference("WebhookWithNotifications"), "The webhook and its last notifications"),
    *("400", "401", "403", "404"),
    parameters=[_HOOK],
)
END = operation(
    {"description": "Nothing is sent there any more"},
    *("400", "401", "403", "404"),
    parameters=[_HOOK],
    status="204",
)
ROTATE = operation(
    json_answer(reference("WebhookWithSecret"), "A new secret; the old one signs for a day too"),
    *("400", "401", "403", "404", "409"),
    parameters=[_HOOK],
)
TEST = operation(
    json_answer(
        object_schema("delivered", delivered={"type": "boolean"}, trouble=NULLABLE),
        "How it went",
    ),
    *("400", "401", "403", "404"),
    parameters=[_HOOK],
)

_WEBHOOK: Document = {
    "webhookId": STRING,
    "url": STRING,
    "addedAt": INSTANT,
    "endedAt": NULLABLE,
    "endedBecause": NULLABLE,
}
_NOTIFICATION = object_schema(
    "notificationId body attempts",
    notificationId=STRING,
    webhookId=STRING,
    body={"type": "object"},
    attempts={"type": "integer"},
    noticedAt=INSTANT,
    **dict.fromkeys(("nextAttemptAt", "deliveredAt", "givenUpAt", "trouble"), NULLABLE),
)

SCHEMAS: Document = {
    "Webhook": object_schema("webhookId url addedAt", **_WEBHOOK),
    "WebhookWithSecret": object_schema("webhookId url addedAt secret", **_WEBHOOK, secret=STRING),
    "WebhookWithNotifications": object_schema(
        "webhookId url addedAt notifications",
        **_WEBHOOK,
        notifications={"type": "array", "items": _NOTIFICATION},
    ),
}
