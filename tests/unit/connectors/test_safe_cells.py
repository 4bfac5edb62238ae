"""Cells of a table: a spreadsheet takes none for a formula, and none hides anything."""

import pytest

from connectors.reports.safe_cells import for_csv, visible

WORDS = ["ផ្កាឈូក", "ดอกบัว", "ດອກບົວ", "ကြာပန်း", "Hoa Sen Việt"]
STARTS = ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", " =", "\ufeff="]  # noqa: RUF001
FORMULAS = [start + "1+1" for start in STARTS] + ["a;=1+1", "a\n=1+1", "-", "="]


@pytest.mark.parametrize("value", FORMULAS)
def test_a_formula_gets_an_apostrophe(value: str) -> None:
    assert "'" in for_csv(value)
    assert for_csv(value).replace("'", "") == value.replace("'", "")


@pytest.mark.parametrize("value", [*WORDS, "KH/1-2/2026", "A = B", "a@b.example", "R&D + more", ""])
def test_other_text_stays_as_it_is(value: str) -> None:
    assert for_csv(value) == value


def test_what_cannot_be_seen_is_shown_and_joiners_stay() -> None:
    assert visible("a\x07\u202eb\u200b\u200d") == "a⟦U+0007⟧⟦U+202E⟧b\u200b\u200d"
