"""Since when a right's records are shared without a break, whatever was decided meanwhile."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from connectors.ledger import Ledger
from connectors.ledger.columns import microseconds
from ipregister.authorizations import Decision, Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

AT = datetime(2026, 3, 4, 9, tzinfo=UTC)
LATER = AT + timedelta(days=2)
TODAY, AFTERWARDS = date(2026, 3, 6), date(2026, 3, 8)
"""At the office, two days later and beyond that."""
BEGINS = datetime(2026, 3, 7, 17, tzinfo=UTC)
"""When that last day begins in Phnom Penh."""

ALL = Grant(frozenset(Disclosure))
SHARED = Decision({Right.PATENTS: ALL})

pytestmark = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def of(grant: Grant, **more: date) -> Decision:
    return Decision({Right.PATENTS: grant}, **more)


@pytest.mark.parametrize(
    ("first", "second", "since"),
    [
        (SHARED, of(Grant(frozenset({Disclosure.CORE}))), AT),
        (SHARED, of(ALL, validFrom=TODAY), AT),
        (of(ALL, validUntil=TODAY), SHARED, AT),
        (of(ALL, validUntil=TODAY - timedelta(days=1)), SHARED, LATER),
        (of(ALL, validFrom=AFTERWARDS), SHARED, LATER),
        (SHARED, of(ALL, validFrom=AFTERWARDS), BEGINS),
        (SHARED, of(replace(ALL, rule=RowRule(publishedOnly=True))), LATER),
        (SHARED, of(replace(ALL, freeText=False)), LATER),
        (Decision({Right.DESIGNS: ALL}), SHARED, LATER),
    ],
)
def test_only_what_goes_on_as_it_was_is_shared_since_before(
    ledger: Ledger, first: Decision, second: Decision, since: datetime
) -> None:
    ledger.clients.add(name="reader", third_party="Ann", at=AT, by="operator")
    ledger.authorizations.decide("KH", "Ann", first, AT, "Sok")
    now = ledger.authorizations.decide("KH", "Ann", second, LATER, "Sok")
    assert now.version == 2
    assert now.grants[Right.PATENTS].since == microseconds(since)


def test_who_was_revoked_begins_anew(ledger: Ledger) -> None:
    ledger.clients.add(name="reader", third_party="Ann", at=AT, by="operator")
    ledger.authorizations.decide("KH", "Ann", SHARED, AT, "Sok")
    ledger.authorizations.revoke("KH", "Ann", AT + timedelta(days=1), "Sok")
    again = ledger.authorizations.decide("KH", "Ann", SHARED, LATER, "Sok")
    assert again.grants[Right.PATENTS].since == microseconds(LATER)
