"""Numbers and codes: what is accepted, what is refused."""

import base64
import hashlib
import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipregister import identifiers
from ipregister.model import Right

PLAUSIBLE = st.dates(date(1900, 1, 1), date(2100, 12, 31))


# --- records ---------------------------------------------------------------------------------


def test_a_record_key_folds_spelling_but_keeps_punctuation():
    assert (
        identifiers.record_key("KH", Right.TRADEMARKS, " kh/\uff14\uff19/13 ")
        == "KH/trademarks/KH/49/13"
    )
    one = identifiers.record_key("ID", Right.TRADEMARKS, "M0020191466446-11")
    other = identifiers.record_key("ID", Right.TRADEMARKS, "M00201914664461-1")
    assert one != other


@given(
    st.text(st.characters(codec="ascii") | st.sampled_from("\uff14\uff21\uff5a\uff10\u2003\u00a0"))
)
def test_normalising_a_number_twice_changes_nothing_more(text):
    once = identifiers.normalised_number(text)
    assert identifiers.normalised_number(once) == once
    assert not any(mark.isspace() for mark in once)


def test_record_ids_are_url_safe_and_stable():
    """For good: third parties keep them, and so does every log there is."""
    assert identifiers.record_id("KH/trademarks/KH/49703/13") == "wemdzcz3ououchppyitaj2xt"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_record_id_is_base32_of_blake2b(key):
    digest = hashlib.blake2b(key.encode(), digest_size=15).digest()
    assert identifiers.record_id(key) == base64.b32encode(digest).decode().lower()


# --- countries and languages -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("KH", "KH"),
        ("NO", "NO"),
        ("WO", "WO"),
        ("PR", "PR"),
        ("TP", "TP"),
        ("VN1", "VN"),
        ("DD", "DD"),  # in old priorities
        ("US-", "US"),
        ("jp.", "JP"),
        ("XZ", None),
        ("-", None),
        ("", None),
        ("Cambodia", None),
    ],
)
def test_country_codes(text, code):
    assert identifiers.country(text) == code


def test_no_code_stands_in_two_lists():
    codes = [code for listed in identifiers.st3().values() for code in listed]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[A-Z]{2}", code) for code in codes)


def test_languages_are_those_of_iso_639():
    assert all(
        identifiers.is_language(code) for code in ("km", "lo", "my", "th", "vi", "id", "ms", "no")
    )
    assert not any(identifiers.is_language(code) for code in ("kh", "vn", "in", "KM", "eng", ""))


# --- classifications -------------------------------------------------------------------------


@given(st.integers(-10, 200))
def test_nice_classes_run_from_1_to_45(number):
    assert identifiers.nice(f"{number:02d}") == (number if 1 <= number <= 45 else None)


@pytest.mark.parametrize("text", ["A", "", "9.0", "0", "99", "²", "٣", "0009999"])
def test_other_texts_are_no_nice_class(text):
    assert identifiers.nice(text) is None


@given(st.integers(1, 29), st.integers(1, 99), st.integers(0, 99))
def test_vienna_spellings_lead_to_one_symbol(category, division, section):
    symbol = f"{category:02d}.{division:02d}.{section:02d}"
    assert {
        identifiers.vienna(text)
        for text in (
            symbol,
            symbol.replace(".", ""),
            f"{category}.{division}.{section}",
            f" {symbol} ",
        )
    } == {symbol}
    assert identifiers.vienna(f"{category}.{division}") == f"{category:02d}.{division:02d}"


@pytest.mark.parametrize(
    "text", ["30.01.01", "00.01.01", "27.00.01", "1", "A1.1.1", "27.05.01.02", ""]
)
def test_other_texts_are_no_vienna_symbol(text):
    assert identifiers.vienna(text) is None


@given(st.sampled_from([*range(1, 33), 99]), st.integers(0, 99))
def test_locarno_spellings_lead_to_one_symbol(main, sub):
    symbol = f"{main:02d}-{sub:02d}"
    spellings = (symbol, symbol.replace("-", ""), f"{main}-{sub}", f"{main:02d}.{sub:02d}")
    assert {identifiers.locarno(text) for text in spellings} == {symbol}


@pytest.mark.parametrize("text", ["33-01", "00-01", "98-01", "06", "A1-02", ""])
def test_other_texts_are_no_locarno_symbol(text):
    assert identifiers.locarno(text) is None


@given(
    st.sampled_from("ABCDEFGH"),
    st.integers(1, 99),
    st.sampled_from("ABCDEFGHJKLMNPQRSTVWXYZ"),
    st.integers(1, 9999),
    st.integers(0, 99),
)
def test_ipc_spellings_lead_to_one_symbol(section, number, subclass, group, subgroup):
    symbol = f"{section}{number:02d}{subclass} {group}/{subgroup:02d}"
    head = symbol[:4]
    for text in (
        symbol,
        symbol.replace(" ", ""),
        symbol.lower(),
        f"{head}{group:>4}/{subgroup:02d}",
        f"{head}{group:04d}{subgroup:02d}0000",
        f"{symbol} (2006.01)",
    ):
        assert identifiers.ipc(text) == symbol


@pytest.mark.parametrize(
    "text",
    ["A61K31", "A61K", "I61K 31/00", "A61K 0/00", "A61K0000000000", "A61K 31/0", "Y02E 10/50", ""],
)
def test_other_texts_are_no_ipc_symbol(text):
    assert identifiers.ipc(text) is None


def test_only_the_cooperative_classification_has_section_y():
    assert identifiers.cpc("Y02E 10/50") == "Y02E 10/50"
    assert identifiers.cpc("a61k31/00") == "A61K 31/00"


# --- ST.13 -----------------------------------------------------------------------------------

WITH_YEAR = [(re.compile("^X/(?P<year>[0-9]{4}|[0-9]{2})/(?P<serial>[0-9A-Z-]+)$"), "50")]
WITHOUT_YEAR = [(re.compile("^(?P<serial>[0-9]+)$"), "70")]


@given(st.integers(1800, 2100), st.integers(0, 999_999_999), st.dates())
def test_the_year_of_the_number_wins_over_the_date(year, serial, filed):
    expected = f"KH50{year}{serial:09d}"
    assert identifiers.derive_st13("KH", WITH_YEAR, f"X/{year}/{serial}", filed) == expected
    assert identifiers.derive_st13("KH", WITH_YEAR, f"X/{year}/{serial}", None) == expected


@given(st.integers(0, 99), PLAUSIBLE)
def test_two_digits_take_the_century_nearest_to_the_application(year, filed):
    result = identifiers.derive_st13("MY", WITH_YEAR, f"X/{year:02d}/1", filed)
    assert result is not None
    assert int(result[4:8]) % 100 == year
    assert abs(int(result[4:8]) - filed.year) <= 50
    assert identifiers.derive_st13("MY", WITH_YEAR, f"X/{year:02d}/1", None) is None


def test_a_number_without_year_needs_the_application_date():
    assert (
        identifiers.derive_st13("LA", WITHOUT_YEAR, "11858", date(2004, 5, 6))
        == "LA702004000011858"
    )
    assert identifiers.derive_st13("LA", WITHOUT_YEAR, "11858", None) is None


@pytest.mark.parametrize("number", ["X/2019/12AB", "X/2019/1234567890", "X/2019/-", "Y/2019/1", ""])
def test_what_is_not_a_serial_of_nine_digits_has_no_st13(number):
    assert identifiers.derive_st13("KH", WITH_YEAR, number, date(2019, 1, 1)) is None


def test_leading_zeros_beyond_nine_digits_do_not_count():
    assert (
        identifiers.derive_st13("KH", WITH_YEAR, "X/2019/00000000012", None) == "KH502019000000012"
    )


@given(st.text(), st.none() | st.dates())
def test_no_number_breaks_the_derivation(number, filed):
    patterns = [
        *WITH_YEAR,
        (re.compile("(?P<serial>.*)", re.DOTALL), "50"),
        (re.compile(".*"), "50"),
    ]
    result = identifiers.derive_st13("KH", patterns, number, filed)
    assert result is None or re.fullmatch(r"KH50[0-9]{13}", result)
