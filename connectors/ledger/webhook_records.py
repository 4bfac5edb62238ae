"""Webhooks and notifications as values, and how they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from connectors.ledger.columns import Json
from ipregister.instants import instant


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address; ``told`` is the state its client was last told of, by space, if it was."""

    webhookId: str
    clientId: str
    url: str
    generation: int
    rotatedAt: datetime | None
    told: Mapping[str, str] | None
    addedAt: datetime
    endedAt: datetime | None
    endedBecause: str | None

    def document(self) -> dict[str, Any]:
        """Return the JSON form; it holds no secret."""
        return {
            "webhookId": self.webhookId,
            "url": self.url,
            "addedAt": instant(self.addedAt),
            "endedAt": instant(self.endedAt) if self.endedAt else None,
            "endedBecause": self.endedBecause,
        }


@dataclass(frozen=True, slots=True)
class Notification:
    """Something a client is told, and how that went."""

    notificationId: str
    webhookId: str
    body: Json
    noticedAt: datetime
    attempts: int
    nextAttemptAt: datetime | None
    deliveredAt: datetime | None
    givenUpAt: datetime | None
    trouble: str | None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        instants = {
            name: instant(at) if (at := getattr(self, name)) else None
            for name in ("noticedAt", "nextAttemptAt", "deliveredAt", "givenUpAt")
        }
        names = ("notificationId", "webhookId", "body", "attempts", "trouble")
        return {name: getattr(self, name) for name in names} | instants


def webhook_of(row: Row[Any]) -> Webhook:
    """Return a webhook as its row has it."""
    return Webhook(
        *(row.webhook_id, row.client_id, row.url, row.generation, row.rotated_at, row.told),
        *(row.added_at, row.ended_at, row.ended_because),
    )


def notification_of(row: Row[Any]) -> Notification:
    """Return a notification as its row has it."""
    return Notification(
        *(row.notification_id, row.webhook_id, row.body, row.noticed_at, row.attempts),
        *(row.next_attempt_at, row.delivered_at, row.given_up_at, row.trouble),
    )
