"""Authorizations, and what a request may see of them, on both databases."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from connectors.ledger import Access, Client, Ledger
from ipregister.authorization_forms import parse_withheld
from ipregister.authorizations import WITHHOLDABLE, Decision, Grant, decide
from ipregister.errors import (
    InvalidRequest,
    LedgerConflict,
    StoreError,
)
from ipregister.model import Disclosure, Right

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HASH = sha256(b"an access token").digest()
BY: dict[str, Any] = {"at": AT, "by": "operator"}

Together = Callable[..., list[Any]]
Tamper = Callable[[str], None]


def share(ledger: Ledger, rights: str, *withhold: str, office: str = "KH", **other: Any) -> int:
    until = other.pop("until", None)
    withheld = parse_withheld(rights, withhold)
    return ledger.authorizations.set(office, "Ann", withheld, until, AT, "Sok", **other).version


def seen(ledger: Ledger, at: datetime = AT) -> Access:
    access = ledger.access(HASH, at)
    assert access is not None
    return access


def opened(access: Access) -> dict[tuple[str, Right], frozenset[Disclosure]]:
    return {space: grant.allowed for space, grant in access.grants.items()}


# --- authorizations --------------------------------------------------------------------------


def test_every_decision_is_a_version(ledger: Ledger, client: Client) -> None:
    assert share(ledger, "patents") == 1
    assert share(ledger, "patents") == 1
    assert share(ledger, "patents,designs", "designs:documents") == 2
    assert share(ledger, "patents,designs", "designs:documents", until=date(2026, 3, 4)) == 3
    revoked = ledger.authorizations.revoke("KH", "ann", AT, "Sok")
    assert (revoked.version, revoked.is_revoked, revoked.thirdParty) == (4, True, "Ann")
    assert share(ledger, "trademarks", office="TH") == 1
    history = ledger.authorizations.history("KH", "Ann")
    assert [version.version for version in history] == [1, 2, 3, 4]
    assert history[1].withheld(Right.DESIGNS) == {Disclosure.DOCUMENTS}
    assert ledger.authorizations.show("KH", "Ann") == revoked == history[-1]
    assert ledger.authorizations.show("VN", "Ann") is None
    offices = [found.office for found in ledger.authorizations.list(third_party="Ann")]
    assert offices == [found.office for found in ledger.authorizations.list()] == ["KH", "TH"]
    assert [found.version for found in ledger.authorizations.list(office="KH")] == [4]


def test_who_did_not_see_the_last_decision_must_look_again(ledger: Ledger, client: Client) -> None:
    share(ledger, "patents", expected_version=0)
    for stale in (0, 2):
        with pytest.raises(LedgerConflict, match="at version 1"):
            share(ledger, "designs", expected_version=stale)
        with pytest.raises(LedgerConflict, match="at version 1"):
            ledger.authorizations.revoke("KH", "Ann", AT, "Sok", expected_version=stale)
    assert share(ledger, "designs", expected_version=1) == 2


def test_of_two_decisions_at_once_one_has_to_look_again(
    ledger: Ledger, client: Client, together: Together
) -> None:
    share(ledger, "patents")
    work = """
from ipregister.authorization_forms import parse_withheld
from ipregister.errors import LedgerConflict
rights = parse_withheld(["designs", "trademarks"][number])
try:
    result = ledger.authorizations.set("KH", "Ann", rights, None, AT, "x", 1).version
except LedgerConflict:
    result = 0
"""
    assert sorted(together(2, work)) == [0, 2]
    assert len(ledger.authorizations.history("KH", "Ann")) == 2


@pytest.mark.parametrize(
    ("office", "third_party", "rights", "until", "sentence"),
    [
        ("XX", "Ann", {Right.PATENTS: ()}, None, "not an office of this hub; there are BN, ID"),
        ("KH", "Bob", {Right.PATENTS: ()}, None, "no third party 'Bob'"),
        ("KH", "Ann", {}, None, "revoke"),
        ("KH", "Ann", {"marks": ()}, None, "there are patents, trademarks, designs"),
        ("KH", "Ann", {Right.PATENTS: ["core"]}, None, "core cannot be withheld"),
        ("KH", "Ann", {Right.PATENTS: ["names"]}, None, "choose among stakeholder, status_change"),
        ("KH", "Ann", {Right.PATENTS: ()}, date(2026, 3, 3), "is past"),
        ("KH", "Ann", {Right.PATENTS: ()}, date(2570, 3, 5), "Gregorian calendar"),
    ],
)
def test_decisions_that_make_no_sense_are_refused(
    ledger: Ledger,
    client: Client,
    office: str,
    third_party: str,
    rights: Any,
    until: date | None,
    sentence: str,
) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        ledger.authorizations.set(office, third_party, rights, until, AT, "Sok")
    assert ledger.authorizations.list() == []


def test_no_first_day_is_taken_from_another_era(ledger: Ledger, client: Client) -> None:
    with pytest.raises(InvalidRequest, match="Gregorian calendar"):
        ledger.authorizations.decide("KH", "Ann", Decision(validFrom=date(2569, 3, 5)), AT, "Sok")


def test_there_must_be_something_to_revoke(ledger: Ledger, client: Client) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="nothing to revoke"):
            ledger.authorizations.revoke("KH", "Ann", AT, "Sok")
        share(ledger, "patents")
        ledger.authorizations.revoke("KH", "Ann", AT, "Sok")


@pytest.mark.parametrize("reason", ["", " ", "a\x1b[31mb", "x" * 1_001])
def test_a_revocation_has_a_reason_that_can_be_read_or_none(
    ledger: Ledger, client: Client, reason: str
) -> None:
    share(ledger, "patents")
    with pytest.raises(InvalidRequest, match="printable"):
        ledger.authorizations.revoke("KH", "Ann", AT, "Sok", reason=reason)
    assert list(seen(ledger).versions) == ["KH"]
    assert ledger.authorizations.revoke("KH", "Ann", AT, "Sok").decision.reason is None


# --- what a request may see ------------------------------------------------------------------


def test_every_set_of_withheld_classes_is_what_a_request_sees(
    ledger: Ledger, client: Client
) -> None:
    for size in range(len(WITHHOLDABLE) + 1):
        for withheld in combinations(WITHHOLDABLE, size):
            share(ledger, "patents,designs", f"designs:{','.join(withheld)}")
            expected = {
                ("KH", Right.PATENTS): frozenset(Disclosure),
                ("KH", Right.DESIGNS): frozenset(Disclosure) - set(withheld),
            }
            assert opened(seen(ledger)) == expected


def test_the_fast_way_and_the_decision_agree(ledger: Ledger, client: Client) -> None:
    share(ledger, "patents", office="KH")
    share(ledger, "designs,trademarks", "examination", office="TH", until=date(2026, 3, 5))
    share(ledger, "designs", office="VN")
    ledger.authorizations.revoke("VN", "Ann", AT, "Sok")
    known = ledger.authorizations.list()
    for days in range(3):
        at = AT + timedelta(days=days)
        token = sha256(str(days).encode()).digest()
        ledger.tokens.issue(client.clientId, token, at + MINUTE, at)
        access = ledger.access(token, at)
        assert access is not None
        for office in ("KH", "TH", "VN", "PH"):
            for right in Right:
                answer = decide(known, third_party="Ann", office=office, right=right, at=at)
                assert getattr(answer, "grant", None) == access.grants.get((office, right))
                if (office, right) in access.grants:
                    assert getattr(answer, "version", None) == access.versions[office]


@pytest.mark.parametrize(
    ("office", "midnight"), [("KH", "17:00"), ("MM", "17:30"), ("SG", "16:00"), ("TL", "15:00")]
)
def test_an_authorization_holds_on_its_days_at_the_office(
    ledger: Ledger, client: Client, office: str, midnight: str
) -> None:
    second = timedelta(seconds=1)
    begins = datetime.fromisoformat(f"2026-03-04T{midnight}Z")
    ends = begins + timedelta(days=1)
    day = date(2026, 3, 5)
    once = Decision({Right.PATENTS: Grant(frozenset(Disclosure))}, day, day)
    decided = ledger.authorizations.decide(office, "Ann", once, AT, "Sok")
    assert decided.grants[Right.PATENTS].since == int(begins.timestamp()) * 1_000_000
    for instant, holds in (
        *((begins - second, False), (begins, True)),
        *((ends - second, True), (ends, False)),
    ):
        token = sha256(str(instant).encode()).digest()
        ledger.tokens.issue(client.clientId, token, instant + MINUTE, instant)
        # What is remembered of the minute before must not outlive the day.
        before, now = (ledger.access(token, instant - step) for step in (second, 0 * second))
        assert before is not None
        assert now is not None
        assert (office in now.versions) is decided.holds(instant) is holds
        assert (office in before.versions) is decided.holds(instant - second)
    with pytest.raises(InvalidRequest, match="is past"):
        ledger.authorizations.decide(office, "Ann", once, ends, "Sok")


def test_the_same_day_at_every_office_is_a_day_of_each(ledger: Ledger, client: Client) -> None:
    for office in ("MM", "TL"):
        share(ledger, "patents", office=office, until=date(2026, 3, 4))
    between = datetime(2026, 3, 4, 15, 10, tzinfo=UTC)
    ledger.tokens.issue(client.clientId, b"t" * 32, between + MINUTE, between)
    access = ledger.access(b"t" * 32, between)
    assert access is not None
    assert dict(access.versions) == {"MM": 1}


def test_what_another_process_decides_counts_at_the_next_request(
    ledger: Ledger, client: Client, together: Together
) -> None:
    share(ledger, "patents")
    assert Right.PATENTS in {right for _, right in seen(ledger).grants}
    changes = [
        ('set("KH", "Ann", parse_withheld("designs"), None, AT, "x")', [("KH", "designs")], 2),
        ('revoke("KH", "Ann", AT, "x")', [], None),
        ('set("TH", "Ann", parse_withheld("designs"), None, AT, "x")', [("TH", "designs")], 1),
    ]
    for change, grants, version in changes:
        work = "from ipregister.authorization_forms import parse_withheld\n"
        together(1, f"{work}result = ledger.authorizations.{change}.version")
        access = seen(ledger)
        assert list(access.grants) == grants
        assert list(access.versions.values()) == ([version] if version else [])
    together(1, f"result = ledger.clients.revoke('{client.clientId}', at=AT, by='x') and 0")
    assert ledger.access(HASH, AT) is None


def test_a_class_or_right_this_program_does_not_know_stays_closed(
    ledger: Ledger, client: Client, tamper: Tamper
) -> None:
    share(ledger, "patents")
    tamper(
        """UPDATE authorizations SET allowed = '{"patents": ["core", "new"], "seeds": ["core"]}'"""
    )
    assert opened(seen(ledger)) == {("KH", Right.PATENTS): {Disclosure.CORE}}


def test_an_office_sees_who_it_is_and_nothing_of_others(ledger: Ledger) -> None:
    client, _ = ledger.clients.add(name="KH", office="KH", **BY)
    ledger.tokens.issue(client.clientId, HASH, AT + MINUTE, AT)
    access = seen(ledger)
    assert (access.clientId, access.office, access.thirdParty) == (client.clientId, "KH", None)
    assert (access.grants, access.versions) == ({}, {})


def test_a_database_that_fails_opens_nothing(
    ledger: Ledger, client: Client, tamper: Tamper
) -> None:
    tamper("DROP TABLE tokens")
    with pytest.raises(StoreError, match="the ledger's database failed"):
        ledger.access(HASH, AT)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_restart_of_the_server_is_survived(ledger: Ledger, client: Client, url: str) -> None:
    assert ledger.access(HASH, AT) is not None
    other = create_engine(url)
    for question in (
        lambda: ledger.access(HASH, AT),
        lambda: ledger.clients.by_id(client.clientId),
    ):
        with other.begin() as connection:
            killed = connection.scalar(
                text(
                    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        assert killed > 0
        assert question() is not None
    other.dispose()
