"""Webhooks and notifications in the ledger, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.ledger import Ledger
from connectors.ledger.webhook_records import Webhook
from connectors.ledger.webhooks import MAX_WEBHOOKS, NOTIFICATIONS_KEPT, OVERLAP
from ipregister.errors import InvalidRequest, LedgerConflict

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def webhook(ledger: Ledger) -> Webhook:
    client, _ = ledger.clients.add(name="one", third_party="Acme", at=NOW, by="test")
    return ledger.webhooks.add(client.clientId, "https://a.example/", at=NOW, by="test")[0]


def test_a_client_has_a_few_webhooks_and_may_end_one(ledger: Ledger, webhook: Webhook) -> None:
    for number in range(MAX_WEBHOOKS - 1):
        url = f"https://b{number}.example/"
        ledger.webhooks.add(webhook.clientId, url, at=NOW, by="test")
    with pytest.raises(InvalidRequest, match="at most 3"):
        ledger.webhooks.add(webhook.clientId, "https://c.example/", at=NOW, by="test")
    ledger.webhooks.end(webhook.webhookId, at=NOW, by="test", because="moved")
    ledger.webhooks.end(webhook.webhookId, at=NOW + MINUTE, by="test", because="again")
    ledger.webhooks.add(webhook.clientId, "https://c.example/", at=NOW, by="test")
    ended = ledger.webhooks.get(webhook.clientId, webhook.webhookId)
    assert ended is not None
    assert (ended.endedAt, ended.endedBecause) == (NOW, "moved")
    assert ledger.webhooks.get("somebody-else", webhook.webhookId) is None
    assert ledger.verify() is None


def test_the_state_is_told_by_one_of_several_processes(ledger: Ledger, webhook: Webhook) -> None:
    told = {"KH.trademarks": "a 1"}
    assert ledger.webhooks.tell(webhook, told, [{"type": "one"}], at=NOW)
    assert not ledger.webhooks.tell(webhook, told, [{"type": "one"}], at=NOW)
    assert [one.body for one in ledger.webhooks.sent(webhook.webhookId)] == [{"type": "one"}]


def test_notifications_of_one_address_come_one_after_the_other(
    ledger: Ledger, webhook: Webhook
) -> None:
    bodies: list[Any] = [{"type": "one"}, {"type": "two"}]
    ledger.webhooks.tell(webhook, {}, bodies, at=NOW)
    ((_, first),) = ledger.webhooks.due(NOW, MINUTE)
    assert first.body == {"type": "one"}
    assert ledger.webhooks.due(NOW, MINUTE) == []
    ledger.webhooks.settle(first, next_attempt_at=NOW + MINUTE, trouble="closed")
    assert ledger.webhooks.due(NOW, MINUTE) == []
    ((_, again),) = ledger.webhooks.due(NOW + MINUTE, MINUTE)
    assert (again.notificationId, again.attempts) == (first.notificationId, 1)
    ledger.webhooks.settle(again, delivered_at=NOW + MINUTE)
    ((_, second),) = ledger.webhooks.due(NOW + MINUTE, MINUTE)
    assert second.body == {"type": "two"}
    newest = ledger.webhooks.sent(webhook.webhookId)
    assert [one.document()["deliveredAt"] for one in newest] == [None, "2026-11-26T09:01:00Z"]


def test_what_is_noticed_later_waits_for_what_was_before(ledger: Ledger, webhook: Webhook) -> None:
    for number in range(2):
        (now,) = ledger.webhooks.list(webhook.clientId)
        assert ledger.webhooks.tell(now, {"KH.trademarks": str(number)}, [{"n": number}], at=NOW)
    ((_, first),) = ledger.webhooks.due(NOW, MINUTE)
    assert first.body == {"n": 0}


def test_what_was_planned_by_a_clock_that_was_ahead_is_not_waited_for(
    ledger: Ledger, webhook: Webhook
) -> None:
    ahead = NOW + timedelta(days=365)
    ledger.webhooks.tell(webhook, {}, [{"type": "one"}, {"type": "two"}], at=ahead)
    ((_, first),) = ledger.webhooks.due(NOW, MINUTE)
    assert first.body == {"type": "one"}
    assert ledger.webhooks.due(NOW, MINUTE) == []
    ledger.webhooks.settle(first, next_attempt_at=NOW + timedelta(days=1), trouble="closed")
    assert ledger.webhooks.due(NOW, MINUTE) == []


def test_what_waits_is_given_up_with_its_webhook(ledger: Ledger, webhook: Webhook) -> None:
    ledger.webhooks.tell(webhook, {}, [{"type": "one"}], at=NOW)
    ledger.webhooks.end(webhook.webhookId, at=NOW, by="test", because="moved")
    assert ledger.webhooks.due(NOW, MINUTE) == []
    (waiting,) = ledger.webhooks.sent(webhook.webhookId)
    assert (waiting.givenUpAt, waiting.trouble) == (NOW, "moved")


def test_a_late_failure_leaves_what_is_over_as_it_is(ledger: Ledger, webhook: Webhook) -> None:
    bodies: list[Any] = [{"type": "arrived"}, {"type": "ended"}]
    ledger.webhooks.tell(webhook, {}, bodies, at=NOW)
    ((_, first),) = ledger.webhooks.due(NOW, MINUTE)
    # Its process stood still for so long that another one sent it again.
    ((_, again),) = ledger.webhooks.due(NOW + MINUTE, MINUTE)
    ledger.webhooks.settle(again, delivered_at=NOW + MINUTE)
    ledger.webhooks.settle(first, next_attempt_at=NOW + 2 * MINUTE, trouble="no answer")
    ((_, second),) = ledger.webhooks.due(NOW + 2 * MINUTE, MINUTE)
    assert second.body == {"type": "ended"}
    ledger.webhooks.end(webhook.webhookId, at=NOW + 2 * MINUTE, by="test", because="moved")
    ledger.webhooks.settle(second, next_attempt_at=NOW + 3 * MINUTE, trouble="no answer")
    ended, arrived = ledger.webhooks.sent(webhook.webhookId)
    assert (arrived.deliveredAt, arrived.trouble) == (NOW + MINUTE, None)
    assert (ended.givenUpAt, ended.nextAttemptAt) == (NOW + 2 * MINUTE, None)
    assert ended.trouble == "moved"


def test_what_arrives_while_its_webhook_ends_has_arrived(ledger: Ledger, webhook: Webhook) -> None:
    ledger.webhooks.tell(webhook, {}, [{"type": "one"}], at=NOW)
    ((_, one),) = ledger.webhooks.due(NOW, MINUTE)
    ledger.webhooks.end(webhook.webhookId, at=NOW, by="test", because="moved")
    ledger.webhooks.settle(one, delivered_at=NOW)
    (arrived,) = ledger.webhooks.sent(webhook.webhookId)
    assert (arrived.deliveredAt, arrived.givenUpAt) == (NOW, None)


def test_what_is_over_is_forgotten_and_what_waits_is_not(ledger: Ledger, webhook: Webhook) -> None:
    bodies: list[Any] = [{"type": "arrived"}, {"type": "given up"}, {"type": "waits"}]
    ledger.webhooks.tell(webhook, {}, bodies, at=NOW)
    waits, given_up, arrived = ledger.webhooks.sent(webhook.webhookId)
    ledger.webhooks.settle(arrived, delivered_at=NOW)
    ledger.webhooks.settle(given_up, given_up_at=NOW, trouble="no answer")
    assert ledger.webhooks.forget(NOW + NOTIFICATIONS_KEPT) == 0
    assert ledger.webhooks.forget(NOW + NOTIFICATIONS_KEPT + MINUTE) == 2
    assert ledger.webhooks.sent(webhook.webhookId) == [waits]


def test_a_rotation_is_made_once_and_the_database_holds_no_secret(
    ledger: Ledger, webhook: Webhook
) -> None:
    (old,) = ledger.webhooks.secrets(webhook, NOW)
    new = ledger.webhooks.rotate(webhook, at=NOW, by="test")
    with pytest.raises(LedgerConflict, match="changed meanwhile"):
        ledger.webhooks.rotate(webhook, at=NOW, by="test")
    (rotated,) = ledger.webhooks.list(webhook.clientId)
    assert ledger.webhooks.secrets(rotated, NOW) == [new, old]
    assert ledger.webhooks.secrets(rotated, NOW + OVERLAP) == [new]
    every = str([entry.document() for entry in ledger.audit.entries()]) + str(rotated)
    assert not {old, new} & set(every.split("'"))


def test_what_one_client_has_and_ends_is_nothing_to_another(
    ledger: Ledger, webhook: Webhook
) -> None:
    client, _ = ledger.clients.add(name="two", third_party="Bee", at=NOW, by="test")
    for number in range(MAX_WEBHOOKS - 1):
        url = f"https://b{number}.example/"
        ledger.webhooks.add(client.clientId, url, at=NOW + MINUTE, by="test")
    ledger.webhooks.add(webhook.clientId, "https://a1.example/", at=NOW + 2 * MINUTE, by="test")
    other, last = ledger.webhooks.list(client.clientId)
    assert {other.clientId, last.clientId} == {client.clientId}
    bodies: list[Any] = [{"type": "one"}, {"type": "two"}]
    for each in (webhook, other):
        assert ledger.webhooks.tell(each, {"KH.trademarks": "a 1"}, bodies, at=NOW)
    assert ledger.webhooks.get(client.clientId, last.webhookId) == last
    assert len(ledger.webhooks.due(NOW, MINUTE)) == 2
    ledger.webhooks.end(webhook.webhookId, at=NOW, by="test", because="moved")
    waiting = ledger.webhooks.sent(other.webhookId)
    assert [one.givenUpAt for one in waiting] == [None, None]


def test_an_ended_webhook_gets_no_secret_and_no_word_and_keeps_what_arrived(
    ledger: Ledger, webhook: Webhook
) -> None:
    ledger.webhooks.tell(webhook, {}, [{"type": "one"}], at=NOW)
    ((_, one),) = ledger.webhooks.due(NOW, MINUTE)
    ledger.webhooks.settle(one, delivered_at=NOW)
    (before,) = ledger.webhooks.list(webhook.clientId)
    ledger.webhooks.end(webhook.webhookId, at=NOW, by="test", because="moved")
    with pytest.raises(LedgerConflict, match="changed meanwhile"):
        ledger.webhooks.rotate(before, at=NOW, by="test")
    assert not ledger.webhooks.tell(before, {"KH.trademarks": "a 1"}, [{"type": "two"}], at=NOW)
    (arrived,) = ledger.webhooks.sent(webhook.webhookId)
    assert (arrived.deliveredAt, arrived.givenUpAt) == (NOW, None)
