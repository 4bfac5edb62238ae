"""Small values of the ledger: the office's date, texts from outside, instants."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from connectors.ledger.authorization_rows import open_grants
from connectors.ledger.columns import (
    ServerPath,
    canonical,
    from_microseconds,
    microseconds,
    readable,
)
from connectors.ledger.records import office_date, office_sequence
from ipregister.authorizations import Grant
from ipregister.deliveries import Kind
from ipregister.errors import StoreError
from ipregister.instants import instant
from ipregister.model import Disclosure, Right

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("KH_20260301_0001.zip", date(2026, 3, 1)),
        ("2026-03-01/a.xml", date(2026, 3, 1)),
        ("PH_Trademarks_WIPO_19990101_123456_20260301.zip", date(2026, 3, 1)),
        ("20260305.zip", date(2026, 3, 5)),
        ("20260306.zip", None),
        ("25690301.zip", None),
        ("20260230.zip", None),
        ("120260301.zip", None),
        ("2026030112.zip", None),
        ("2026-0301.zip", None),
        ("KH_2026_03_01.zip", date(2026, 3, 1)),
        ("២០២៦០៣០១.zip", None),
        ("a.zip", None),
        ("", None),
    ],
)
def test_the_offices_date_is_the_last_day_in_the_name(name: str, day: date | None) -> None:
    assert office_date([name], AT) == day


def test_the_latest_day_of_several_files_counts() -> None:
    assert office_date(["20260101.zip", "b.zip", "20260201.zip", "99991231.zip"], AT) == date(
        2026, 2, 1
    )


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("KH20260301_002.zip", 2),
        ("KH_2026-03-01-123000.xml", 123_000),
        ("20260301_00012_full.zip", 12),
        ("PH_Trademarks_WIPO_19990101_123456_20260301.zip", None),
        ("KH20260301_1of3.zip", None),
        ("KH20260301_part2.zip", None),
        ("KH20260301.zip", None),
        ("KH_002.zip", None),
        ("KH20990301_002.zip", None),
        ("KH20260301_1234567890.zip", None),
    ],
)
def test_the_offices_sequence_stands_right_behind_the_day(name: str, number: int | None) -> None:
    assert office_sequence([name], Kind.UPDATE, AT) == number


def test_of_several_files_the_latest_days_numbers_count() -> None:
    names = ["KH20260301_003.zip", "KH20260301_001.zip", "KH20260228_007.zip", "b.zip"]
    assert office_sequence(names, Kind.UPDATE, AT) == 1
    assert office_sequence(names, Kind.FULL_EXTRACTION, AT) == 3


@given(st.binary(max_size=20))
@example(b"a\\x41\xff\\\\\0")
def test_a_path_comes_back_as_the_server_spelt_it(spelling: bytes) -> None:
    path = spelling.decode("utf-8", "surrogateescape")
    stored = ServerPath().process_bind_param(path, sqlite.dialect())
    assert stored is not None
    assert "\0" not in stored
    stored.encode()  # raises where a driver would
    assert ServerPath().process_result_value(stored, sqlite.dialect()) == path


@given(st.text(st.characters(categories=None), max_size=20))
def test_any_text_becomes_one_that_every_database_takes(text: str) -> None:
    plain = readable(text)
    assert "\0" not in plain
    plain.encode()  # raises where a driver would
    canonical({"a": text}).encode()
    assert readable(plain) == plain


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": [1, None], "a": "ក\udcff"}) == '{"a":"ក\\udcff","b":[1,null]}'


def test_an_instant_has_one_meaning() -> None:
    in_bangkok = AT.astimezone(timezone(timedelta(hours=7)))
    assert microseconds(in_bangkok) == microseconds(AT)
    assert from_microseconds(microseconds(in_bangkok)) == AT
    assert instant(in_bangkok) == "2026-03-04T05:06:07Z"
    with pytest.raises(StoreError, match="no time zone"):
        microseconds(AT.replace(tzinfo=None))


@pytest.mark.parametrize("free_text", [False, "false", "some", 1, None])
def test_free_text_is_open_where_an_authorization_says_so_and_no_otherwise(free_text):
    said = {"patents": {"freeText": free_text}}
    grant = Grant(frozenset({Disclosure.CORE}), freeText=False)
    assert open_grants({"patents": ["core"]}, said) == {Right.PATENTS: grant}


@pytest.mark.parametrize(
    "rows", [{"unheardOf": True}, {"applicationDateFrom": "soon"}, {"kinds": 1}]
)
def test_a_right_whose_rule_cannot_be_read_is_not_shared(rows):
    allowed = {"patents": ["core"], "designs": ["core", "unheard of"]}
    assert open_grants(allowed, {"patents": {"rows": rows}}) == {
        Right.DESIGNS: Grant(frozenset({Disclosure.CORE}))
    }
