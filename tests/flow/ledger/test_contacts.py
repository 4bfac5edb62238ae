"""What the ledger remembers of offices in trouble, on both databases."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from connectors.collection.backoff import LATEST, REFUSED, pause
from connectors.ledger import Contact

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
WAITING = partial(pause, refused=False)


@pytest.fixture
def at() -> datetime:
    return AT


def fail(ledger: Any, at: Any, **options: Any) -> Contact:
    given = {"reason": "no route", "refused": False, "pause": WAITING} | options
    return ledger.contacts.failed("KH", at, **given)


def test_pauses_grow_to_an_hour_and_a_success_ends_them(ledger: Any, at: Any) -> None:
    minutes = [(fail(ledger, at).nextAttemptAt - at) / timedelta(minutes=1) for _ in range(9)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    contact = ledger.contacts.get("KH")
    assert (contact.failures, contact.failingSince, contact.reason) == (9, at, "no route")
    later = at + timedelta(hours=1)
    assert ledger.contacts.succeeded("KH", later) == ledger.contacts.get("KH")
    assert ledger.contacts.get("KH") == Contact("KH", succeededAt=later)
    assert fail(ledger, later).succeededAt == later


def test_a_failure_after_progress_is_the_first(ledger: Any, at: Any) -> None:
    fail(ledger, at)
    fail(ledger, at)
    later = at + timedelta(hours=1)
    contact = fail(ledger, later, progressed=True)
    assert (contact.failures, contact.failingSince) == (1, later)


def test_an_office_is_left_alone_until_its_instant(ledger: Any, at: Any) -> None:
    assert ledger.contacts.get("KH").is_due(at)
    contact = fail(ledger, at)
    assert not contact.is_due(at + timedelta(seconds=59))
    assert contact.is_due(at + timedelta(seconds=60))


def test_what_failed_at_another_server_keeps_nobody_away(ledger: Any, at: Any) -> None:
    """Nor does the right one's trouble end with a mistyped one."""
    fail(ledger, at, server="right")
    wrong = fail(ledger, at + timedelta(hours=1), server="mistyped")
    assert (wrong.failures, wrong.failingSince) == (1, at)
    assert not wrong.asked_of("mistyped").is_due(at + timedelta(hours=1))
    assert ledger.contacts.get("KH").asked_of("right").is_due(at + timedelta(hours=1))
    refused = fail(ledger, at, server="mistyped", refused=True)
    assert not refused.asked_of("right").refused


def test_nobody_waits_for_an_instant_that_a_wrong_clock_noted(ledger: Any, at: Any) -> None:
    contact = fail(ledger, at + timedelta(days=3650))
    assert contact.is_due(at)


def test_a_person_is_needed_after_a_day_or_at_once_when_refused(ledger: Any, at: Any) -> None:
    assert not ledger.contacts.get("KH").needs_person(at)
    contact = fail(ledger, at)
    assert not contact.needs_person(at + timedelta(hours=23))
    assert contact.needs_person(at + timedelta(hours=24))
    refused = fail(ledger, at, refused=True, pause=partial(pause, refused=True))
    assert refused.needs_person(at)
    assert refused.nextAttemptAt == at + REFUSED > at + LATEST


def test_contacts_are_listed_and_forgotten(ledger: Any, at: Any) -> None:
    for office in ("TH", "KH"):
        ledger.contacts.succeeded(office, at)
    assert [contact.office for contact in ledger.contacts.all()] == ["KH", "TH"]
    ledger.contacts.forget("KH")
    assert [contact.office for contact in ledger.contacts.all()] == ["TH"]


def test_a_year_of_failures_is_no_trouble() -> None:
    assert pause(100_000, refused=False) == LATEST
