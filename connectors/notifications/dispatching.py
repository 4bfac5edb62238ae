"""One pass: see what is new, send what is due, try again later what did not arrive."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.ledger import Ledger
from connectors.ledger.columns import canonical
from connectors.ledger.webhook_records import Notification, Webhook
from connectors.networks import Networks
from connectors.notifications.addresses import Resolve, resolve
from connectors.notifications.noticing import notice
from connectors.notifications.sending import TIMEOUT_SECONDS, Outcome, send
from connectors.serving_store import ServingStore

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Before the second attempt, the third, …: three days and some in all (Standard Webhooks)."""

BUSY_FOR = timedelta(seconds=4 * TIMEOUT_SECONDS)
"""How long an attempt under way is left alone; a killed one is made again after that."""

ROUNDS = 100
"""Notifications of one webhook in one pass: they are sent one after the other, in their order."""

PASS_LASTS = timedelta(seconds=30)
"""After which a pass begins no other round: who takes its time to answer, notification after
notification, must not keep others from hearing what is new. Dagster gives a sensor a minute."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did, in numbers of notifications."""

    noticed: int = 0
    delivered: int = 0
    failed: int = 0
    givenUp: int = 0


def dispatch(
    ledger: Ledger,
    serving: ServingStore,
    *,
    clock: Callable[[], datetime],
    inside: Networks = (),
    resolver: Resolve = resolve,
) -> Pass:
    """Make one pass over all webhooks; several processes may do so at once.

    Each attempt is as of when it is made: receivers that do not answer take so long that those
    behind them would refuse a notification signed at the beginning as too old.
    """
    began = clock()
    noticed = notice(ledger, serving, at=began)
    delivered = failed = given_up = 0
    for number in range(ROUNDS):
        lasted = clock() - began
        if number and lasted >= PASS_LASTS:
            break
        # What fails in this pass is for a later one, however long this one takes.
        if not (due := ledger.webhooks.due(began, lasted + BUSY_FOR)):
            break
        for webhook, notification in due:
            at = clock()
            secrets = ledger.webhooks.secrets(webhook, at)
            body = canonical(notification.body)
            outcome = send(
                *(webhook.url, notification.notificationId, body, secrets),
                at=at,
                inside=inside,
                resolver=resolver,
            )
            ended = _settle(ledger, webhook, notification, outcome, clock())
            delivered += outcome.is_delivered
            failed += not outcome.is_delivered
            given_up += ended
    return Pass(noticed, delivered, failed, given_up)


def _settle(
    ledger: Ledger, webhook: Webhook, notification: Notification, outcome: Outcome, at: datetime
) -> bool:
    """Write down how an attempt went; tell whether it was the last."""
    settle = ledger.webhooks.settle
    if outcome.is_delivered:
        settle(notification, delivered_at=at)
        return False
    if outcome.is_gone:
        settle(notification, given_up_at=at, trouble=outcome.trouble)
        because = "the receiver said that it is gone (410)"
        ledger.webhooks.end(webhook.webhookId, at=at, by="hub", because=because)
        return True
    if notification.attempts >= len(WAITS):
        settle(notification, given_up_at=at, trouble=outcome.trouble)
        return True
    later = at + WAITS[notification.attempts]
    settle(notification, next_attempt_at=later, trouble=outcome.trouble)
    return False
