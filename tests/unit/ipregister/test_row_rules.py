"""Row rules: what is inside, what is not, and that the written forms say the same."""

import json
from datetime import date, timedelta

import pytest

from ipregister.authorization_forms import parse_rows, parse_withheld
from ipregister.errors import InvalidRequest
from ipregister.model import Right
from ipregister.row_rules import DATES, Facts, RowRule, read_row_rule

DAY = date(2026, 3, 4)
KNOWN = Facts(DAY, DAY, DAY, True, "trademark", "individual", "national")
UNKNOWN = Facts()


def test_without_conditions_everything_is_inside() -> None:
    assert RowRule().includes(KNOWN)
    assert RowRule().includes(UNKNOWN)


@pytest.mark.parametrize("name", DATES)
def test_a_date_is_compared_with_its_own(name: str) -> None:
    rule = RowRule(**{name: DAY})
    only, _ = name.split("Date")
    assert rule.includes(Facts(**{f"{only}Date": DAY}))
    others = {"application", "registration", "publication"} - {only}
    assert not rule.includes(Facts(**{f"{other}Date": DAY for other in others}))


@pytest.mark.parametrize("name", DATES)
@pytest.mark.parametrize("days", [-1, 0, 1])
def test_a_date_is_compared_with_both_ends_inside(name: str, days: int) -> None:
    rule = RowRule(**{name: DAY + timedelta(days=days)})
    expected = days <= 0 if name.endswith("From") else days >= 0
    assert rule.includes(KNOWN) is expected
    assert not rule.includes(UNKNOWN)


CONDITIONS = [
    (RowRule(publishedOnly=True), True),
    (RowRule(rightKinds=("gi", "trademark")), True),
    (RowRule(rightKinds=("gi",)), False),
    (RowRule(kinds=("individual",)), True),
    (RowRule(kinds=("collective",)), False),
    (RowRule(filingRoutes=("national",)), True),
    (RowRule(filingRoutes=("madrid",)), False),
]


@pytest.mark.parametrize(("rule", "inside"), CONDITIONS)
def test_each_condition_alone(rule: RowRule, inside: bool) -> None:
    assert rule.includes(KNOWN) is inside
    assert not rule.includes(UNKNOWN)


@pytest.mark.parametrize(
    ("asked", "kind", "inside"),
    [
        *(("B", "B1", True), ("B1", "B1", True), ("B1", "B2", False), ("A", "B1", False)),
        ("A", None, False),
    ],
)
def test_a_letter_stands_for_its_kind_codes(asked: str, kind: str | None, inside: bool) -> None:
    assert RowRule(kinds=(asked,)).includes(Facts(kind=kind)) is inside


def test_all_conditions_must_hold() -> None:
    rule = RowRule(publishedOnly=True, kinds=("individual",))
    assert rule.includes(KNOWN)
    assert not rule.includes(Facts(published=True))
    assert not rule.includes(Facts(kind="individual"))


def test_a_rule_is_read_back_as_it_was_written() -> None:
    rule = RowRule(True, *[DAY] * len(DATES), ("mark",), ("a", "b"), ("madrid",))
    assert read_row_rule(json.loads(json.dumps(rule.document()))) == rule
    assert RowRule(kinds=("a",)).document() == {"kinds": ["a"]}
    assert read_row_rule({}) is None
    with pytest.raises(TypeError):
        read_row_rule({"unheardOf": True})


def test_rows_on_the_command_line() -> None:
    rights = parse_withheld("trademarks,patents")
    written = ["publishedOnly", "patents:kinds=B+A1", "trademarks:applicationDateFrom=2020-01-01"]
    assert parse_rows(rights, written) == {
        Right.TRADEMARKS: {"publishedOnly": True, "applicationDateFrom": "2020-01-01"},
        Right.PATENTS: {"publishedOnly": True, "kinds": ["B", "A1"]},
    }
    spaced = [
        " publishedOnly ",
        "patents: kinds = B + A1",
        "trademarks :applicationDateFrom= 2020-01-01",
    ]
    assert parse_rows(rights, spaced) == parse_rows(rights, written)
    with pytest.raises(InvalidRequest, match="designs is not among"):
        parse_rows(rights, ["designs:publishedOnly"])
