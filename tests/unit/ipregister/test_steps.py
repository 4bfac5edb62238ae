"""Steps: what one text becomes, and what is said when it becomes nothing."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipregister import steps


@pytest.mark.parametrize(
    ("step", "text", "outcome"),
    [
        ("date", "2019-05-02", (date(2019, 5, 2), None, None)),
        ("date", "20190502", (date(2019, 5, 2), None, None)),
        ("date", "2019-05-02+07:00", (date(2019, 5, 2), None, None)),
        ("date", "2562-05-02", (None, "ALL.CNF.003", "2019-05-02")),
        ("date", "๒๕๖๒-๐๕-๐๒", (None, "ALL.CNF.002", "2019-05-02")),
        ("date", "2019-02-30", (None, "ALL.CNF.002", None)),
        ("date", "0000-00-00", (None, "ALL.CNF.002", None)),
        ("integer", "007", (7, None, None)),
        ("integer", "999999999", (999_999_999, None, None)),
        ("integer", "1000000000", (None, "ALL.CNF.013", None)),
        ("integer", "9" * 5_000, (None, "ALL.CNF.013", None)),
        ("integer", "-1", (None, "ALL.CNF.013", None)),
        ("integer", "3.0", (None, "ALL.CNF.013", None)),
        ("integer", "๓", (None, "ALL.CNF.013", None)),
        ("boolean", "true", (True, None, None)),
        ("boolean", "FALSE", (False, None, None)),
        ("boolean", "0", (False, None, None)),
        ("boolean", "yes", (True, None, None)),
        ("boolean", "perhaps", (None, "ALL.CNF.013", None)),
        ("unlessNo", "true", (True, None, None)),
        ("unlessNo", "No", (False, None, None)),
        ("unlessNo", "Ya", (True, "ALL.CNF.013", None)),
        ("country", "VN", ("VN", None, None)),
        ("country", "VN1", ("VN", "ALL.CNF.004", "VN")),
        ("country", "us-", ("US", "ALL.CNF.004", "US")),
        ("country", "Viet Nam", (None, "ALL.CNF.004", None)),
        ("nice", "9", (9, None, None)),
        ("nice", "0", (None, "TM.CNF.001", None)),
        ("nice", "46", (None, "TM.CNF.001", None)),
        ("vienna", "030101", ("03.01.01", None, None)),
        ("vienna", "99", (None, "TM.CNF.002", None)),
        ("locarno", "1403", ("14-03", None, None)),
        ("locarno", "shoes", (None, "DS.CNF.001", None)),
        ("ipc", "A61K0031000000", ("A61K 31/00", None, None)),
        ("ipc", "I99Z 1/00", (None, "PT.CNF.001", None)),
    ],
)
def test_a_text_becomes_a_value_or_says_why_not(
    step: str, text: str, outcome: steps.Outcome
) -> None:
    assert steps.STEPS[step](text) == outcome


# What is no symbol is told by the step of the symbol, not by that of its version.
@given(st.text(max_size=30), st.sampled_from(sorted(steps.STEPS.keys() - {"ipcVersion"})))
def test_no_text_is_an_error_and_none_is_dropped_in_silence(text: str, name: str) -> None:
    value, issue, _ = steps.STEPS[name](text)
    assert (value is not None) or issue


def test_digits_of_other_scripts_never_become_numbers() -> None:
    for digits in ("١٢", "๑๒", "១២", "໑໒", "၁၂", "²"):
        for name in ("date", "integer", "nice", "vienna", "locarno"):
            assert steps.STEPS[name](digits)[0] is None


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("km", ("km", None, None)),
        ("kh", ("km", "ALL.CNF.005", "km")),
        ("KM", ("km", "ALL.CNF.005", "km")),
        (" km ", ("km", "ALL.CNF.005", "km")),
        ("xx", (None, "ALL.CNF.005", None)),
        ("", (None, "ALL.CNF.005", None)),
    ],
)
def test_a_language_is_mended_by_the_offices_aliases_and_told(
    text: str, outcome: steps.Outcome
) -> None:
    assert steps.language({"kh": "km"})(text) == outcome


def test_words_of_a_vocabulary_are_compared_without_case_space_and_form() -> None:
    words = {steps.folded(word): value for word, value in {"Đã  cấp bằng": "registered"}.items()}
    step = steps.code_list(words, "unknown", "ALL.CNF.006")
    assert step(" ĐÃ CẤP\nBẰNG ") == ("registered", None, None)
    assert step("Đa\u0303 câ\u0301p bă\u0300ng") == ("registered", None, None)
    assert step("486") == ("unknown", "ALL.CNF.006", None)
    assert steps.code_list(words, None, "TM.CNF.003")("?") == (None, "TM.CNF.003", None)
