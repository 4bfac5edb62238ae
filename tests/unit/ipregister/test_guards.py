"""When a delivery waits for its office, and what it says then: pure judgement over counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ipregister.deliveries import Kind
from ipregister.guard_limits import GuardLimits
from ipregister.guards import judge
from ipregister.holds import DroppedField, HoldCode, IdChurn, Respelling, escalation, failed
from ipregister.measures import Collapse, Measures

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE


def full(had: int, present: int, vanishing: int = 0, **more: Any) -> Measures:
    return Measures(FULL, had, present, vanishing, common=had - vanishing, read=present, **more)


def update(had: int, present: int, **more: Any) -> Measures:
    return Measures(UPDATE, had, present, read=present, **more)


SPELT = (Respelling("2019/123", "2019-000123"),)
EMPTIED = (DroppedField("applicants", 0.99, 0.2),)
SAME = Collapse("applicationDate", 900, 0.1, 1.0, "2026-11-01")

PLAUSIBLE = {
    "first load": full(0, 100_000, inserted=100_000),
    "growth x9": full(1_000, 9_000, inserted=8_000),
    "growth with bad records": full(1_000, 9_000, inserted=8_000, rejected=50),
    "nothing at all": full(0, 0),
    "a small collection": full(12, 8, 4),
    "49 of which one stays": full(49, 1, 48),
    "so few may always vanish": full(500, 490, 10),
    "two in a hundred": full(100_000, 98_000, 2_000),
    "the file's own count is right": full(100, 100, declared=100),
    "foreign records among others": update(100, 20, foreign=17),
    "chance likeness of numbers": full(1_000, 990, 10, churn=IdChurn(4, 10, SPELT)),
    "a few respelt": full(1_000, 992, 8, churn=IdChurn(8, 8, SPELT)),
    "ten records go back": full(1_000, 1_000, updated=10, returning=10),
    "many go back, others are new": full(1_000, 1_000, updated=100, inserted=6, returning=100),
    "small steps": update(1_000, 10, vanishing=10, lost_before=40),
    "nothing more goes after a large loss": update(900, 10, lost_before=100),
    "a field loses 20 points": full(1_000, 1_000, dropped=(DroppedField("a", 0.9, 0.7),)),
    "what ended for most records of an update": update(
        500, 90, common=90, dropped=(DroppedField("a", 1.0, 0.11),)
    ),
    "too few to speak of a field": update(500, 49, common=49, dropped=EMPTIED),
    "dates that were alike": full(1_000, 1_000, collapsed=(replace(SAME, before=0.96),)),
    "dates that still differ": full(1_000, 1_000, collapsed=(replace(SAME, after=0.94),)),
    "nearly one, and it was": full(
        1_000, 1_000, collapsed=(replace(SAME, before=0.8, after=0.99),)
    ),
    "few all alike": update(500, 49, common=49, collapsed=(replace(SAME, records=49),)),
    "a fifth changes": update(1_000, 200, updated=200),
    "an extraction changes all": full(1_000, 1_000, updated=1_000),
    "an update of a small collection": update(49, 49, updated=49),
}


@pytest.mark.parametrize("measures", PLAUSIBLE.values(), ids=PLAUSIBLE)
def test_what_is_plausible_goes_on(measures: Measures) -> None:
    assert judge(measures) is None


HELD = {
    HoldCode.WRONG_OFFICE: (update(100, 20, foreign=18), "18 records name another office"),
    HoldCode.DECLARED_COUNT: (full(0, 99, declared=100), "says it has 100 records, and 99"),
    HoldCode.ID_CHURN: (
        full(1_000, 1_000, 300, inserted=300, churn=IdChurn(298, 300, SPELT)),
        "298 of the 300 vanishing records come back under another spelling of their number "
        "(such as 2019/123 → 2019-000123)",
    ),
    HoldCode.OLD_FILE: (
        full(1_000, 989, 11, updated=40, returning=40, returning_to="KH-20261001-0001"),
        "40 records would go back to what they were before as in delivery KH-20261001-0001",
    ),
    HoldCode.ALL_VANISH: (full(3, 5, 3, inserted=5), "not one record you had"),
    HoldCode.UNREADABLE_RECORDS: (full(1_000, 998, 1, rejected=1), "1 record could not be read"),
    HoldCode.MASS_VANISH: (full(250_000, 100_000, 150_000), "60.0% of your records are missing"),
    HoldCode.ROLLING_VANISH: (
        update(960, 19, vanishing=19, lost_before=40),
        "59 records (5.9%) would have disappeared within 7 days",
    ),
    HoldCode.FIELD_EMPTIED: (full(1_000, 1_000, dropped=EMPTIED), "applicants from 99% to 20%"),
    HoldCode.ONE_VALUE: (
        full(1_000, 1_000, collapsed=(SAME,)),
        "applicationDate is now 2026-11-01 in 100% of 900 records",
    ),
    HoldCode.MASS_CHANGE: (update(1_000, 201, updated=201), "changes 201 records you had (20%)"),
}


@pytest.mark.parametrize(("code", "case"), HELD.items(), ids=HELD)
def test_what_is_not_is_held_with_three_numbers(code: HoldCode, case: tuple[Measures, str]) -> None:
    measures, because = case
    hold = judge(measures)
    assert hold is not None
    assert hold.code is code
    assert because in hold.reason
    assert (
        f"You had {measures.had:,} records, this delivery has {measures.in_this_file:,}, "
        f"{measures.vanishing:,} would disappear." in hold.reason
    )


def test_one_record_is_not_told_as_several() -> None:
    hold = judge(update(1, 20, foreign=18))
    assert hold is not None
    assert "You had 1 record, this delivery has 20," in hold.reason


@pytest.mark.parametrize(
    ("measures", "because"),
    [
        (update(40, 40, vanishing=40), "it deletes every record you had"),
        (update(1_000, 25, vanishing=25), "2.5% of your records are deleted by this update"),
        (full(250_000, 100_000, 150_000), "60.0% of your records are missing from this extraction"),
        (update(5, 1, foreign=1), "every record names another office than yours"),
        (
            full(1_000, 1_000, dropped=tuple(DroppedField(name, 1, 0) for name in "abcde")),
            "a from 100% to 0%, b from 100% to 0%, c from 100% to 0% and 2 more of the records",
        ),
    ],
)
def test_the_reason_says_what_this_kind_of_delivery_does(measures: Measures, because: str) -> None:
    hold = judge(measures)
    assert hold is not None
    assert because in hold.reason


def test_every_hold_that_judging_gives_has_its_case() -> None:
    assert set(HoldCode) - HELD.keys() == {HoldCode.GUARD_FAILED, HoldCode.PROCESSING_FAILED}


@pytest.mark.parametrize(
    ("measures", "code"),
    [
        (full(500, 489, 11), HoldCode.MASS_VANISH),
        (full(100_000, 97_999, 2_001), HoldCode.MASS_VANISH),
        (full(50, 39, 11), HoldCode.MASS_VANISH),
        (
            update(500, 90, common=90, dropped=(DroppedField("a", 1.0, 0.1),)),
            HoldCode.FIELD_EMPTIED,
        ),
        (full(90, 90, collapsed=(replace(SAME, before=0.95),)), HoldCode.ONE_VALUE),
        (full(90, 90, collapsed=(replace(SAME, before=0.74, after=0.95),)), HoldCode.ONE_VALUE),
        (full(1, 0, 1), HoldCode.ALL_VANISH),
        (update(1_000, 25, vanishing=25), HoldCode.MASS_VANISH),
        (update(5, 1, foreign=1), HoldCode.WRONG_OFFICE),
        (full(12, 12, 12, inserted=12, churn=IdChurn(12, 12, SPELT)), HoldCode.ID_CHURN),
        (update(900, 40, inserted=40, churn=IdChurn(30, 40, SPELT)), HoldCode.ID_CHURN),
    ],
)
def test_the_limits_hold_where_they_begin(measures: Measures, code: HoldCode) -> None:
    hold = judge(measures)
    assert hold is not None
    assert hold.code is code


def test_several_reasons_are_all_told_the_strongest_first() -> None:
    churn = IdChurn(298, 300, SPELT)
    hold = judge(full(1_000, 1_000, 300, inserted=300, churn=churn, dropped=EMPTIED, rejected=2))
    assert hold is not None
    assert hold.document()["codes"] == [
        "id_churn", "unreadable_records", "mass_vanish", "field_emptied",
    ]  # fmt: skip
    assert not hold.is_purge


@pytest.mark.parametrize(
    ("limits", "measures"),
    [
        ({"vanishShare": 0.5}, full(1_000, 600, 400)),
        ({"vanishFloor": 400}, full(1_000, 600, 400)),
        ({"smallCollection": 2_000}, full(1_000, 600, 400)),
        ({"rollingShare": 0.07}, update(960, 20, vanishing=19, lost_before=40)),
        ({"fillDrop": 0.8}, full(1_000, 1_000, dropped=EMPTIED)),
        ({"changeShare": 0.9}, update(1_000, 800, updated=800)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_an_office_may_have_other_limits(limits: dict[str, float], measures: Measures) -> None:
    assert judge(measures) is not None
    assert judge(measures, GuardLimits.model_validate(limits)) is None


def test_a_first_update_goes_on_however_small_a_collection_may_be() -> None:
    strictest = GuardLimits.model_validate({"smallCollection": 0, "vanishFloor": 0})
    assert judge(update(0, 5, inserted=5), strictest) is None


def test_the_document_has_what_a_person_decides_by() -> None:
    churn = IdChurn(298, 300, SPELT)
    hold = judge(full(1_000, 1_000, 300, inserted=300, churn=churn, dropped=EMPTIED))
    assert hold is not None
    document = hold.explained(["2019/123"], []).document()
    assert (document["had"], document["inThisFile"]) == (1_000, 1_000)
    assert document["wouldDisappear"] == 300
    assert document["shareChanged"] == 0.3
    assert document["droppedFields"] == [{"field": "applicants", "from": 0.99, "to": 0.2}]
    assert document["idChurn"] == {
        "records": 298,
        "of": 300,
        "examples": [{"before": "2019/123", "after": "2019-000123"}],
    }
    assert document["samples"] == ["2019/123"]
    assert document["suggestion"].startswith("Third parties would see")


def test_a_failed_guard_says_whose_fault_it_is() -> None:
    hold = failed(HoldCode.GUARD_FAILED, "the hub could not judge it (KeyError)")
    assert hold.code is HoldCode.GUARD_FAILED
    assert "a fault of the hub, not of your file" in hold.reason


@pytest.mark.parametrize(
    ("days", "level"), [(0, 0), (2.99, 0), (3, 1), (9.9, 1), (10, 2), (29.9, 2), (30, 3), (900, 3)]
)
def test_a_hold_nobody_decides_grows_urgent_and_is_never_released(days: float, level: int) -> None:
    held = datetime(2026, 1, 1, tzinfo=UTC)
    urgency = escalation(held, held + timedelta(days=days))
    assert (urgency.level, urgency.days) == (level, int(days))
    assert urgency.in_words.startswith("It has waited")
