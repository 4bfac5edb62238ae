"""What is published today is public from the office's morning on, wherever the hub's clock is."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.rebuilding import rebuild_serving
from ipregister.deliveries import State
from ipregister.model import Right
from ipregister.profiles import load_profile, offices

PATENT = (Path(__file__).parents[1] / "fixtures/th/patents/single.xml").read_text("utf-8")
NUMBER = "1801090001"
GRANT = """<pat:PatentGrantIdentification>
<com:IPOfficeCode>TH</com:IPOfficeCode>
<pat:PatentNumber>TH90001P</pat:PatentNumber>
<com:PatentDocumentKindCode>B</com:PatentDocumentKindCode>
<pat:GrantDate>2021-03-07</pat:GrantDate>
</pat:PatentGrantIdentification>
"""

WAITING = PATENT.replace(GRANT, "").replace(
    'documentStatusText="Granted"', 'documentStatusText="Filed"'
)


def published(day: str) -> str:
    """Return an application that nothing but its publication makes public."""
    assert GRANT in PATENT
    return WAITING.replace("2019-09-13", day)


# An hour passes before a delivery arrives: at one in the morning of the 23rd in Bangkok.
BEFORE_DAWN = datetime(2026, 11, 22, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "is_public"), [("2026-11-22", True), ("2026-11-23", True), ("2026-11-24", False)]
)
def test_an_application_is_public_from_the_offices_day_of_publication(
    desk: Any, day: str, is_public: bool
) -> None:
    desk.now = BEFORE_DAWN
    done = desk.deliver(published(day), office="TH", right=Right.PATENTS)
    assert list(desk.served("TH", Right.PATENTS)) == [NUMBER] * is_public
    found = {each["ruleCode"] for each in desk.findings(done)}
    assert ("PT.CNS.011" not in found) is is_public
    assert (done.receipt.accepted, done.receipt.held) == ((1, 0) if is_public else (0, 1))


@pytest.mark.parametrize(
    "day",
    ["2570-02-01", "01/02/2027", "๒๕๗๐-๐๒-๐๑", "2027-01-31T17:00:00Z", "-", ""],
)
def test_a_day_of_publication_that_cannot_be_read_makes_nothing_public(desk: Any, day: str) -> None:
    done = desk.deliver(published(day), office="TH", right=Right.PATENTS)
    assert desk.served("TH", Right.PATENTS) == {}
    assert "PT.CNS.011" in {each["ruleCode"] for each in desk.findings(done)}
    assert (done.receipt.accepted, done.receipt.held) == (0, 1)


def test_a_grant_to_come_makes_nothing_public(desk: Any) -> None:
    granted = WAITING.replace(
        "</pat:ApplicationIdentification>", f"</pat:ApplicationIdentification>\n{GRANT}"
    )
    to_come = granted.replace("2019-09-13", "2027-01-01").replace("2021-03-07", "2027-02-01")
    desk.deliver(to_come, office="TH", right=Right.PATENTS)
    assert desk.served("TH", Right.PATENTS) == {}


@pytest.mark.parametrize("granted", ["", GRANT])
def test_a_lapsed_application_is_public_only_where_it_was_published_or_granted(
    desk: Any, granted: str
) -> None:
    start, end = (
        WAITING.index(f"<{sign}pat:PatentPublicationIdentification>") for sign in ("", "/")
    )
    end += len("</pat:PatentPublicationIdentification>")
    lapsed = (WAITING[:start] + granted + WAITING[end:]).replace('"Filed"', '"Lapsed"')
    done = desk.deliver(lapsed, office="TH", right=Right.PATENTS)
    assert list(desk.served("TH", Right.PATENTS)) == [NUMBER] * bool(granted)
    told = "PT.CNS.011" in {each["ruleCode"] for each in desk.findings(done)}
    assert told is not bool(granted)


def test_what_is_kept_secret_is_shared_with_its_publication(desk: Any) -> None:
    desk.deliver(published("2027-02-01"), office="TH", right=Right.PATENTS)
    assert desk.served("TH", Right.PATENTS) == {}
    desk.now = datetime(2027, 2, 1, 3, tzinfo=UTC)
    assert desk.deliver(published("2027-02-01") + "\n", office="TH", right=Right.PATENTS).state in (
        State.PUBLISHED,
        State.PUBLISHED_WITH_FINDINGS,
    )
    assert list(desk.served("TH", Right.PATENTS)) == [NUMBER]


def test_a_store_made_anew_counts_the_same_days(desk: Any) -> None:
    desk.now = BEFORE_DAWN
    desk.deliver(published("2026-11-23"), office="TH", right=Right.PATENTS)
    facts = "SELECT publication_date, published FROM record"
    before = desk.hub.serving._reader().execute(facts).fetchall()
    assert before == [("2026-11-23", 1)]
    rebuild_serving(desk.hub.register, desk.hub.home.serving, at=desk.now)
    assert desk.hub.serving._reader().execute(facts).fetchall() == before


def test_every_office_says_what_its_clocks_show() -> None:
    at = datetime(2026, 11, 22, 16, 45, tzinfo=UTC)
    tomorrow = {office for office in offices() if load_profile(office).day_of(at).day == 23}
    assert tomorrow == {"BN", "MY", "PH", "SG", "TL"}
    assert load_profile("MM").day_of(at.replace(hour=17, minute=29)).day == 22
    assert load_profile("MM").day_of(at.replace(hour=17, minute=30)).day == 23


def test_what_comes_in_the_morning_without_a_date_is_newer_than_yesterdays(desk: Any) -> None:
    desk.now = datetime(2026, 11, 22, 8, tzinfo=UTC)  # four in the afternoon, with the hour
    of_yesterday = desk.hand_in("<a/>", office="TH", names=("TH_20261122_0001.xml",))
    yesterday = replace(of_yesterday, officeDate=date(2026, 11, 22), officeSequence=1)
    desk.now = BEFORE_DAWN
    assert desk.hand_in("<b/>", office="TH").order > yesterday.order
