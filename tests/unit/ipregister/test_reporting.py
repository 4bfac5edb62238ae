"""The report's shape, scores and sentences, from tallies alone."""

import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from ipregister import report_words as words
from ipregister.deliveries import Kind, Receipt, State
from ipregister.instants import instant
from ipregister.model import Right
from ipregister.profiles import Override
from ipregister.quality import Severity, load_rules
from ipregister.report_scores import Area, Score, scores
from ipregister.report_tallies import VOCABULARY_RULES, RuleTally, Tallies
from ipregister.reporting import Arrival, OfficeReport, ReportedFile, quality_report

RECEIPT = Receipt(recordsRead=12, accepted=4, held=2, rejected=3, unchanged=1, duplicates=2)


def arrival(receipt: Receipt | None = RECEIPT, **more: object) -> Arrival:
    files = (ReportedFile("a.xml", "ab" * 32, 7),)
    return Arrival("KH", Right.TRADEMARKS, Kind.UPDATE, files, receipt, **more)  # type: ignore[arg-type]


def report(*rules: RuleTally, overrides: dict[str, Override] | None = None, **tallies: object):
    counted = Tallies(rules=rules, **tallies)  # type: ignore[arg-type]
    return quality_report(arrival(), counted, load_rules(), overrides or {})


def test_rules_come_by_severity_then_by_records_then_by_findings() -> None:
    found = report(
        RuleTally("ALL.CNS.014", Severity.WARNING, 90, 0, 9),
        RuleTally("ALL.CMP.005", Severity.ERROR, 2, 1, 2),
        RuleTally("ALL.CMP.016", Severity.ERROR, 9, 1, 3),
        RuleTally("ALL.CMP.002", Severity.ERROR, 30, 1, 2),
        RuleTally("ALL.PKG.008", Severity.CRITICAL, 1, 1, 1),
    )
    codes = [rule.ruleCode for rule in found.rules]
    assert codes == ["ALL.PKG.008", "ALL.CMP.016", "ALL.CMP.002", "ALL.CMP.005", "ALL.CNS.014"]
    assert found.findings == {"critical": 1, "error": 41, "warning": 90, "info": 0}


def test_a_share_is_of_different_records_and_absent_where_no_record_is_concerned() -> None:
    of_records, of_files = report(
        RuleTally("ALL.CMP.005", Severity.ERROR, 7, 7, 5),
        RuleTally("ALL.PKG.012", Severity.INFO, 4, 4, 0),
    ).rules
    assert of_records.share == 0.5
    assert of_files.share is None


def test_scores_have_their_parts() -> None:
    found = scores(RECEIPT, {Area.ALL: 4, Area.COMPLETENESS: 1, Area.PACKAGE: 3})
    assert found == [
        Score(Area.ALL, 10, 3),
        Score(Area.PACKAGE, 10, 4),
        Score(Area.COMPLETENESS, 7, 6),
        Score(Area.CONFORMITY, 7, 7),
        Score(Area.CONSISTENCY, 7, 7),
        Score(Area.UNIQUENESS, 7, 7),
    ]
    assert found[0].document() == {"area": "all", "records": 10, "clean": 3, "share": 0.3}


@pytest.mark.parametrize("receipt", [None, Receipt()])
def test_there_is_no_share_without_records(receipt: Receipt | None) -> None:
    assert [score.share for score in scores(receipt, {})] == [None] * (6 if receipt else 0)


def test_no_rule_makes_more_than_all_records_dirty() -> None:
    assert [score.clean for score in scores(RECEIPT, dict.fromkeys(Area, 99))] == [0] * 6


def test_the_receipt_is_a_sum_that_adds_up_as_it_is_written() -> None:
    whole, parts = words.receipt_sum(RECEIPT).split(" = ")
    assert int(re.findall(r"[0-9]+", whole)[0]) == sum(map(int, re.findall(r"[0-9]+", parts)))
    assert words.receipt_sum(RECEIPT) == (
        "12 read = 4 accepted + 2 held + 3 rejected + 1 unchanged + 2 duplicates"
    )


def test_the_parts_of_the_sum_are_those_of_the_receipt() -> None:
    for name in words.PARTS:
        assert not Receipt(**{name: 1}).adds_up()
        assert Receipt(recordsRead=1, **{name: 1}).adds_up()


def test_an_offices_own_severity_is_told_with_its_reason() -> None:
    own = Override(severity=Severity.INFO, reason="The law of Malaysia.", owner="MyIPO")
    tally = RuleTally("ALL.CNS.001", Severity.INFO, 1, 1, 1)
    assert report(tally, overrides={"ALL.CNS.001": own}).rules[0].severityReason == own.reason
    before = RuleTally("ALL.CNS.001", Severity.ERROR, 1, 1, 1)
    assert report(before, overrides={"ALL.CNS.001": own}).rules[0].severityReason is None


def test_a_rule_we_no_longer_have_keeps_its_code() -> None:
    (rule,) = report(RuleTally("ALL.CNS.999", Severity.ERROR, 1, 1, 1)).rules
    assert (rule.title, rule.remedy, rule.area) == ("ALL.CNS.999", "", Area.CONSISTENCY)


def test_vocabulary_rules_exist() -> None:
    assert {rule.code for rule in load_rules()} >= VOCABULARY_RULES


def test_every_word_a_report_needs_is_there() -> None:
    assert set(words.STATES) == set(State)
    assert set(words.KINDS) == set(map(str, Kind))
    assert set(words.RIGHTS) == set(map(str, Right))
    assert set(words.SEVERITIES) == set(map(str, Severity))
    assert set(words.AREAS) == set(map(str, Area))


def test_a_reason_is_told_once() -> None:
    told = words.state_in_words(State.HELD, "Held: 5 would disappear")
    assert told.count("Held") == 1
    assert told.endswith("5 would disappear.")


FINDINGS = [{"critical": 0, "error": 0}, {"critical": 0, "error": 3}]


@pytest.mark.parametrize(
    ("state", "findings", "clean"), list(product([*State, None], FINDINGS, [3, 2])), ids=str
)
def test_a_headline_never_promises_too_much(
    state: State | None, findings: dict[str, int], clean: int
) -> None:
    told = words.headline(state, Receipt(recordsRead=3, accepted=3), findings, clean, 3)
    is_quiet = "nothing to do" in told
    assert is_quiet == (state is not State.HELD and not any(findings.values()))
    assert ("waiting for your decision" in told) == (state is State.HELD)
    if any(findings.values()) and state is not State.HELD:
        assert ("1 of 3 records has" in told) == (clean == 2)


@pytest.mark.parametrize(
    ("state", "critical", "rejected", "told"),
    [
        (State.PUBLISHED, 0, 0, "Every record of this delivery can be shared."),
        (State.PUBLISHED_WITH_FINDINGS, 1, 0, "do not get the new version of 1 record with"),
        (None, 2, 0, "would not get the new version of 2 records with"),
        (State.PUBLISHED_WITH_FINDINGS, 0, 2, "2 records could not be read at all."),
        (State.HELD, 2, 2, "nothing of this delivery until you release it."),
        (State.CHECKING, 2, 2, "nothing of this delivery yet, for it is still being checked."),
        (State.REJECTED, 0, 2, "nothing of this delivery; deliver it again"),
        (State.WITHDRAWN, 0, 0, "nothing of this delivery, for it was taken back"),
    ],
)
def test_the_impact_is_said(state: State | None, critical: int, rejected: int, told: str) -> None:
    receipt = Receipt(recordsRead=9, accepted=9 - rejected, rejected=rejected)
    assert told in words.impact(critical=critical, receipt=receipt, state=state)


@pytest.mark.parametrize("state", [State.RECEIVED, State.CHECKING, State.INCOMPLETE])
def test_what_is_not_checked_is_not_called_shareable(state: State) -> None:
    assert "for it is not checked" in words.impact(critical=0, receipt=None, state=state)


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (None, ""),
        (0, "0 %"),
        (0.0004, "< 0.1 %"),
        (0.123, "12.3 %"),
        (0.9999, "> 99.9 %"),
        (1, "100 %"),
    ],
)
def test_percent_is_0_or_100_only_when_it_is(share: float | None, told: str) -> None:
    assert words.percent(share) == told


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Class 35: ផ្កាឈូក", "km"),
        ("ดอกบัว", "th"),
        ("ດອກບົວ", "lo"),
        ("ကြာပန်း", "my"),
        ("Hoa Sen Việt", None),
    ],
)
def test_a_script_tells_the_language(text: str, language: str | None) -> None:
    assert words.script_language(text) == language


def test_instants_are_utc_and_say_so() -> None:
    at = datetime(2026, 11, 22, 12, 5, tzinfo=timezone(timedelta(hours=7)))
    assert instant(at) == "2026-11-22T05:05:00Z"
    assert words.moment(at) == "2026-11-22 05:05 UTC"


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (7_501, "7.5 kB (7,501 bytes)"),
        (2 * 10**9, "2.0 GB (2,000,000,000 bytes)"),
    ],
)
def test_sizes_keep_the_exact_number(count: int, told: str) -> None:
    assert words.size(count) == told


def test_the_document_has_every_member_of_the_arrival_and_lists_under_items() -> None:
    document = report(RuleTally("ALL.CMP.005", Severity.ERROR, 1, 1, 1)).document()
    assert {field.name for field in fields(Arrival)} <= set(document)
    for name in ("files", "scores", "rules", "vocabulary"):
        assert isinstance(document[name]["items"], list | tuple)
    assert document["receiptSum"] == words.receipt_sum(RECEIPT)
    assert "items" not in document  # the findings, which a writer streams


def test_a_report_without_deliveries_says_whose_it_is() -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    empty = OfficeReport("KH", "Cambodia", at, ())
    assert empty.rights == []
    assert empty.document()["generatedAt"] == "2026-11-22T00:00:00Z"
    assert empty.document()["timeZone"] == "UTC"


def test_a_delivery_that_was_reverted_is_not_said_to_be_published() -> None:
    back = arrival(state=State.PUBLISHED, revertedAt=datetime(2026, 11, 27, tzinfo=UTC))
    told = quality_report(back, Tallies(), load_rules(), {})
    assert told.headline.startswith("This delivery was taken back.")
    assert told.impact == "Third parties get nothing of this delivery, for it was taken back."
