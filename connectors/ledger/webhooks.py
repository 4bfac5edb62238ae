"""Where third parties want to be told that something has changed, and what they were told.

A webhook belongs to one client. Its secret is derived from the hub's own, so whoever reads the
database can sign nothing; the secret before is used beside it for a while after a rotation. What
is worth a notification is ``connectors.notifications.noticing``, sending is ``sending``.

Standard: Standard Webhooks 1.0.
"""

import builtins
import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from connectors.ledger import audit
from connectors.ledger.columns import Json
from connectors.ledger.engine import Database
from connectors.ledger.schema import notifications, webhooks
from connectors.ledger.webhook_records import (
    Notification,
    Webhook,
    notification_of,
    webhook_of,
)
from ipregister.errors import ConfigurationError, InvalidRequest, LedgerConflict

MAX_WEBHOOKS = 3
"""Of one client: one for production, one for its tests, one while it moves."""

OVERLAP = timedelta(days=1)
"""How long both secrets sign after a rotation."""

NOTIFICATIONS_KEPT = timedelta(days=90)
"""How long it can be seen how a notification went; without an end, every pass reads them all."""

LONGEST_WAIT = timedelta(hours=25)
"""No attempt is put off for longer than a day (``dispatching.WAITS``): one that is due later was
planned by a clock that was ahead, and would keep all behind it waiting for as long as that was."""


class Webhooks:
    """Adding, rotating and ending webhooks; queueing and settling notifications."""

    def __init__(self, database: Database, pepper: bytes | None) -> None:
        """Keep webhooks in ``database``; secrets come from ``pepper``."""
        self._database, self._pepper = database, pepper

    def add(self, client_id: str, url: str, *, at: datetime, by: str) -> tuple[Webhook, str]:
        """Add a webhook; return it with its secret, which is shown this once.

        The address was judged by the caller (``connectors.notifications.sending``).

        Raises:
            InvalidRequest: the client has ``MAX_WEBHOOKS`` of them.
        """
        webhook_id = f"wh-{secrets.token_hex(8)}"
        row = {"webhook_id": webhook_id, "client_id": client_id, "url": url, "generation": 1}
        row |= {"added_at": at, "added_by": by}
        with self._database.write() as connection:
            if len(_find(connection, client_id=client_id, active=True)) >= MAX_WEBHOOKS:
                raise InvalidRequest(f"a client has at most {MAX_WEBHOOKS} webhooks: end one first")
            connection.execute(insert(webhooks), row)
            _audit(connection, "added", webhook_id, at=at, by=by, after={"clientId": client_id})
            (webhook,) = _find(connection, webhook_id=webhook_id)
        return webhook, self._secret(webhook_id, 1)

    def list(self, client_id: str | None = None, *, active: bool = True) -> builtins.list[Webhook]:
        """Return webhooks by time of adding."""
        with self._database.read() as connection:
            return _find(connection, client_id=client_id, active=active)

    def get(self, client_id: str, webhook_id: str) -> Webhook | None:
        """Return a client's webhook, ended or not."""
        with self._database.read() as connection:
            found = _find(connection, client_id=client_id, webhook_id=webhook_id)
        return found[0] if found else None

    def secrets(self, webhook: Webhook, at: datetime) -> builtins.list[str]:
        """Return what signs now: the present secret, and the one before it for ``OVERLAP``."""
        generations = [webhook.generation]
        if webhook.rotatedAt is not None and at < webhook.rotatedAt + OVERLAP:
            generations.append(webhook.generation - 1)
        return [self._secret(webhook.webhookId, generation) for generation in generations]

    def rotate(self, webhook: Webhook, *, at: datetime, by: str) -> str:
        """Return a new secret; the present one signs beside it for ``OVERLAP``.

        Raises:
            LedgerConflict: it was rotated or ended meanwhile.
        """
        c = webhooks.c
        mine = and_(
            c.webhook_id == webhook.webhookId,
            c.generation == webhook.generation,
            c.ended_at.is_(None),
        )
        values = {"generation": webhook.generation + 1, "rotated_at": at}
        with self._database.write() as connection:
            if connection.execute(update(webhooks).where(mine).values(values)).rowcount != 1:
                raise LedgerConflict("this webhook was changed meanwhile: look at it again")
            _audit(connection, "secret_rotated", webhook.webhookId, at=at, by=by)
        return self._secret(webhook.webhookId, webhook.generation + 1)

    def end(self, webhook_id: str, *, at: datetime, by: str, because: str) -> None:
        """Tell this address nothing any more; what still waits is given up."""
        c, n = webhooks.c, notifications.c
        mine = and_(c.webhook_id == webhook_id, c.ended_at.is_(None))
        with self._database.write() as connection:
            ended = update(webhooks).where(mine).values(ended_at=at, ended_because=because)
            if not connection.execute(ended).rowcount:
                return
            waiting = and_(n.webhook_id == webhook_id, _waits())
            gone = update(notifications).where(waiting)
            connection.execute(gone.values(given_up_at=at, next_attempt_at=None, trouble=because))
            _audit(connection, "ended", webhook_id, at=at, by=by, after={"because": because})

    def tell(
        self,
        webhook: Webhook,
        told: Mapping[str, str],
        bodies: builtins.list[Json],
        *,
        at: datetime,
    ) -> bool:
        """Queue notifications and remember the state they tell of, both or neither.

        Returns:
            ``False`` when another process was faster: it has told the same.
        """
        c, n = webhooks.c, notifications.c
        with self._database.write() as connection:
            (now,) = _find(connection, webhook_id=webhook.webhookId)
            if now.told != webhook.told or now.endedAt is not None:
                return False
            mine = update(webhooks).where(c.webhook_id == webhook.webhookId)
            connection.execute(mine.values(told=dict(told)))
            last = select(func.max(n.position)).where(n.webhook_id == webhook.webhookId)
            position = connection.scalar(last) or 0
            rows = [
                {
                    "notification_id": f"msg-{secrets.token_hex(12)}",
                    "webhook_id": webhook.webhookId,
                    "position": position + number,
                    "body": body,
                    "noticed_at": at,
                    "attempts": 0,
                    "next_attempt_at": at,
                }
                for number, body in enumerate(bodies, 1)
            ]
            if rows:
                connection.execute(insert(notifications), rows)
        return True

    def due(self, at: datetime, busy_for: timedelta) -> builtins.list[tuple[Webhook, Notification]]:
        """Take the first waiting notification of every webhook where it is due.

        Each is taken for ``busy_for``: another process leaves it alone so long, and finds it
        again when we were killed. A later one waits for the earlier ones of its address.
        """
        n, w = notifications.c, webhooks.c
        first = (
            select(n.webhook_id, func.min(n.position).label("position"))
            .where(_waits())
            .group_by(n.webhook_id)
            .subquery()
        )
        query = (
            select(notifications)
            .join(first, and_(first.c.webhook_id == n.webhook_id, first.c.position == n.position))
            .join(webhooks, and_(w.webhook_id == n.webhook_id, w.ended_at.is_(None)))
            .where(or_(n.next_attempt_at <= at, n.next_attempt_at > at + LONGEST_WAIT))
        )
        with self._database.write() as connection:
            found = [notification_of(row) for row in connection.execute(query)]
            for one in found:
                mine = update(notifications).where(n.notification_id == one.notificationId)
                connection.execute(mine.values(next_attempt_at=at + busy_for))
            known = {webhook.webhookId: webhook for webhook in _find(connection)}
        return [(known[one.webhookId], one) for one in found]

    def settle(
        self,
        notification: Notification,
        *,
        delivered_at: datetime | None = None,
        next_attempt_at: datetime | None = None,
        given_up_at: datetime | None = None,
        trouble: str | None = None,
    ) -> None:
        """Note how an attempt went: delivered, to be tried again, or given up.

        One that failed changes nothing of what is over: another process may have delivered it
        meanwhile, or its webhook may have ended.
        """
        values = {
            "attempts": notification.attempts + 1,
            "delivered_at": delivered_at,
            "next_attempt_at": next_attempt_at,
            "given_up_at": given_up_at,
            "trouble": trouble,
        }
        mine = update(notifications).where(
            notifications.c.notification_id == notification.notificationId
        )
        if delivered_at is None:
            mine = mine.where(_waits())
        with self._database.write() as connection:
            connection.execute(mine.values(values))

    def sent(self, webhook_id: str, *, limit: int = 100) -> builtins.list[Notification]:
        """Return the notifications of a webhook, newest first."""
        n = notifications.c
        query = select(notifications).where(n.webhook_id == webhook_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(n.position.desc()).limit(limit))
            return [notification_of(row) for row in rows]

    def forget(self, at: datetime) -> int:
        """Forget notifications that arrived or were given up long ago; return how many."""
        n = notifications.c
        ended = or_(n.delivered_at.is_not(None), n.given_up_at.is_not(None))
        old = n.noticed_at < at - NOTIFICATIONS_KEPT
        with self._database.write() as connection:
            return connection.execute(delete(notifications).where(ended, old)).rowcount

    def _secret(self, webhook_id: str, generation: int) -> str:
        if self._pepper is None:
            raise ConfigurationError("webhooks need the hub's pepper")
        message = f"webhook\n{webhook_id}\n{generation}".encode()
        return f"whsec_{b64encode(hmac.digest(self._pepper, message, 'sha256')).decode()}"


def _waits() -> Any:
    n = notifications.c
    return and_(n.delivered_at.is_(None), n.given_up_at.is_(None))


def _find(
    connection: Connection,
    *,
    client_id: str | None = None,
    webhook_id: str | None = None,
    active: bool = False,
) -> list[Webhook]:
    c = webhooks.c
    query = select(webhooks).order_by(c.added_at, c.webhook_id)
    if client_id is not None:
        query = query.where(c.client_id == client_id)
    if webhook_id is not None:
        query = query.where(c.webhook_id == webhook_id)
    if active:
        query = query.where(c.ended_at.is_(None))
    return [webhook_of(row) for row in connection.execute(query)]


def _audit(
    connection: Connection,
    what: str,
    webhook_id: str,
    *,
    at: datetime,
    by: str,
    after: Json = None,
) -> None:
    action = f"webhook:{what}"
    audit.append(connection, at=at, by=by, action=action, subject=webhook_id, after=after)
