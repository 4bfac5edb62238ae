"""Days: what is accepted, what is refused, what is proposed instead."""

import calendar
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipregister import dates

THAI, KHMER, LAO, MYANMAR = (
    "\N{THAI DIGIT ZERO}",
    "\N{KHMER DIGIT ZERO}",
    "\N{LAO DIGIT ZERO}",
    "\u1040",
)
PLAUSIBLE = st.dates(date(1900, 1, 1), date(2100, 12, 31))


def in_script(text: str, zero: str) -> str:
    return "".join(chr(ord(zero) + int(mark)) if mark.isdigit() else mark for mark in text)


@given(st.dates())
def test_iso_dates_survive(day):
    assert dates.st2_date(day.isoformat()) == day
    assert dates.st2_date(day.isoformat().replace("-", "")) == day
    assert dates.st2_date(f"{day.isoformat()}T09:30:00+07:00") == day


@pytest.mark.parametrize(
    "behind",
    [
        "Z",
        "+07:00",
        "-0400",
        "T00:00:00",
        " 00:00:00.0",
        "T09:30",
        "T23:59:60.5",
        "T14:59:59Z",
        "T23:00:00+07:00",
    ],
)
def test_a_time_or_zone_behind_the_date_is_no_part_of_it(behind):
    assert dates.st2_date(f"2021-03-04{behind}") == date(2021, 3, 4)


@pytest.mark.parametrize(
    ("behind", "proposed"),
    [
        ("T17:00:00Z", "2021-03-05"),
        ("T16:00:00.000Z", "2021-03-05"),
        (" 15:00:00+00:00", "2021-03-05"),
        ("T17:00:00+0000", "2021-03-05"),
        ("T17:00:00-00:00", "2021-03-05"),
        ("T17:30:00-0000", "2021-03-05"),
        ("T23:59:60.5Z", "2021-03-05"),
        ("T24:00:00", "2021-03-05"),
        (" 17:00:00+00", "2021-03-05"),
        (" 17:00:00.123456-00", "2021-03-05"),
        ("T17:00:00 UTC", "2021-03-05"),
        ("T17:00 GMT", "2021-03-05"),
        (" 09:00:00+00", "2021-03-04"),
        ("T16:10:00Z", None),
    ],
)
def test_an_evening_of_utc_is_not_taken_for_the_offices_day(behind, proposed):
    assert dates.st2_date(f"2021-03-04{behind}") is None
    assert dates.suggest_date(f"2021-03-04{behind}") == proposed


def test_no_day_is_proposed_after_the_last_one():
    assert dates.suggest_date("9999-12-31T17:00:00Z") is None


@given(st.text())
def test_no_text_breaks_the_date_functions(text):
    parsed, proposed = dates.st2_date(text), dates.suggest_date(text)
    assert parsed is None or isinstance(parsed, date)
    assert proposed is None or dates.st2_date(proposed) is not None


@pytest.mark.parametrize(
    "text",
    [
        "2021-02-30",
        "2021-W01-1",
        "2021-063",
        "03/04/2021",
        "2021-3-4",
        "0000-01-01",
        "2021-03-045",
        "๒๐๒๑-๐๓-๐๔",
        "2021-03-04 or 2021-03-05",
        "2021-03-04/05",
        "2021-03-04T",
        "2021-03-04T25:00:00",
        "2021-03-04-05",
        "2021-03-04 (amended)",
    ],
)
def test_what_st2_does_not_know_is_no_date(text):
    assert dates.st2_date(text) is None


@given(PLAUSIBLE, st.sampled_from([THAI, KHMER, LAO, MYANMAR]))
def test_local_digits_and_buddhist_years_get_the_iso_date_proposed(day, zero):
    if day.year + 543 > 2600:
        day = day.replace(year=2057, day=1)
    # Until March 1940 the year began in April: January to March still bore the old number.
    era = 542 if day < date(1940, 4, 1) and day.month < 4 else 543
    buddhist = f"{day.year + era}-{day:%m-%d}"
    assert dates.suggest_date(in_script(day.isoformat(), zero)) == day.isoformat()
    assert dates.suggest_date(buddhist) == day.isoformat()
    assert dates.suggest_date(in_script(buddhist, zero)) == day.isoformat()


@given(PLAUSIBLE)
def test_a_proposal_never_swaps_day_and_month(day):
    proposed = dates.suggest_date(f"{day:%d/%m/%Y}")
    ambiguous = day.day <= 12 and day.day != day.month
    assert proposed == (None if ambiguous else day.isoformat())


@pytest.mark.parametrize(
    ("text", "proposal"),
    [
        ("13 May 2019", "2019-05-13"),
        ("May 13, 2019", "2019-05-13"),
        ("13.5.2562", "2019-05-13"),
        ("25620513", "2019-05-13"),
        ("๒๕๖๒๐๕๑๓", "2019-05-13"),
        ("2019/05/13", "2019-05-13"),
        ("05-13-2019", "2019-05-13"),
        ("13/05/19", None),
        ("0019-05-13", None),
        ("2484-02-10", "1941-02-10"),
        ("2483-02-10", "1940-02-10"),
        ("2482-04-01", "1939-04-01"),
        ("2470-02-10", "1928-02-10"),
        ("10 Feb 2470", "1928-02-10"),
        ("2019-05-00", None),
        ("unknown", None),
    ],
)
def test_proposals(text, proposal):
    assert dates.suggest_date(text) == proposal


def test_every_month_is_known_by_its_english_name():
    names = list(enumerate(calendar.month_name))[1:]
    assert len(names) == 12
    for number, name in names:
        assert dates.suggest_date(f"25 {name} 2019") == f"2019-{number:02d}-25"
        assert dates.suggest_date(f"{name[:3].upper()}. 25, 2019") == f"2019-{number:02d}-25"


def test_years_of_another_era_are_suspect():
    assert all(dates.is_suspect_year(year) for year in (13, 99, 2440, 2569, 2600))
    assert not any(dates.is_suspect_year(year) for year in (100, 1897, 2026, 2124, 2439, 2601))
