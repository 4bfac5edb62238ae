"""What is the same word to who searches: in six scripts, however it was typed."""

import unicodedata

import pytest

from connectors.serving.folding import fold_text

SAME = [
    ("thai sara am in one or two signs", "น้ำ", "น\u0e49\u0e4d\u0e32"),
    ("thai tone behind the nikhahit", "น้ำ", "น\u0e4d\u0e49\u0e32"),
    ("thai tone before the vowel sign", "กี่", "ก\u0e48\u0e35"),
    ("lao am in one or two signs", "ນ້ຳ", "ນ\u0ec9\u0ecd\u0eb2"),
    ("lao tone behind the niggahita", "ນ້ຳ", "ນ\u0ecd\u0ec9\u0eb2"),
    ("khmer with a word break inside", "ដំរីស", "ដំ\u200bរី\u200bស"),
    ("khmer signs the other way round", "ញ៉ាំ", "ញ\u17b6\u17c6\u17c9"),
    ("burmese with a joiner inside", "မြန်မာ", "မြန်\u200c\u2060မာ"),
    ("burmese dot below before asat", "န့်", "န\u103a\u1037"),
    ("vietnamese composed or not", "phở", unicodedata.normalize("NFD", "phở")),
    ("vietnamese without accents", "Đặng Phở", "dang pho"),
    ("copied with marks of direction", "ตรา", "\u200eตรา\u200f\u202a\u202c\u2068\u2069"),
    ("copied with soft hyphens and variants", "Café", "Ca\u00adfé\ufe0f"),
    ("khmer inherent vowels", "ដំរី", "ដ\u17b4ំរី\u17b5"),
    ("full width", "\uff21\uff22\uff23\uff11\uff12", "abc12"),
    ("spacing", "A \t B", "a\u00a0b"),
]
OTHER = [
    ("a thai vowel sign makes another word", "กี่", "ก่"),
    ("thai short and long", "กิ", "กี"),
    ("khmer vowel", "ដី", "ដិ"),
    ("khmer stacked letter is not the letter", "ក្ក", "កក"),
    ("burmese medial", "မြ", "မျ"),
    ("lao tone", "ນ້າ", "ນ່າ"),
]


@pytest.mark.parametrize(("one", "two"), [pair[1:] for pair in SAME], ids=[p[0] for p in SAME])
def test_the_same_word_however_it_was_typed(one: str, two: str) -> None:
    assert fold_text(one) == fold_text(two)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold_text(unicodedata.normalize(form, one)) == fold_text(one), form  # type: ignore[arg-type]
    assert fold_text(fold_text(one)) == fold_text(one)


@pytest.mark.parametrize(("one", "two"), [pair[1:] for pair in OTHER], ids=[p[0] for p in OTHER])
def test_another_word_stays_another(one: str, two: str) -> None:
    assert fold_text(one) != fold_text(two)


@pytest.mark.parametrize(
    "word",
    [
        *("လမင်းစိမ်း", "ကြယ်ပြာတောက်", "ကျွဲနွားမြင့်"),  # Burmese
        *("ញ៉ាំបាយ", "ធ្វើដំណើរ", "អង្គរវត្ត", "ស៊ីសង"),  # Khmer
        *("ຫຼວງພະບາງ", "ຫຼື", "ເຄື່ອງໝາຍ", "ນ້ຳ"),  # Lao
        *("น้ำมันที่ดี", "เครื่องหมายการค้า", "พันธุ์"),  # Thai
        *("Cà phê Đặng", "Nghệ thuật ẩm thực"),  # Vietnamese
    ],
)
def test_each_part_of_a_word_is_found_in_it(word: str) -> None:
    """However people cut it, between the signs of one letter too: ``q`` is a part of the mark."""
    whole = fold_text(word)
    ends = range(len(word) + 1)
    parts = [word[start:end] for start in ends for end in ends if end - start >= 2]
    assert [part for part in parts if fold_text(part) not in whole] == []
