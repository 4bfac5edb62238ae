"""Numbers and codes of the field: parse, check and bring into the standard's form.

Record identity, WIPO ST.3 codes, ISO 639-1 languages, ST.13 application numbers and the symbols
of the Nice, Vienna, Locarno and International Patent classifications. A text that is not what
it should be gives ``None``, never an exception and never a guess. Which shapes an office uses is
data in ``offices/*.yaml``; how a broken value is reported is ``steps``; days are ``dates``.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from ipregister.model import Right

_VIENNA = re.compile(
    r"([0-9]{1,2})[. ]([0-9]{1,2})(?:[. ]([0-9]{1,2}))?|([0-9]{2})([0-9]{2})([0-9]{2})"
)
_LOCARNO = re.compile(r"([0-9]{1,2}) ?[-./ ] ?([0-9]{1,2})|([0-9]{2})([0-9]{2})")
_IPC = re.compile(
    r"([A-HY])\s*([0-9]{2})\s*([A-Z])\s*0*([1-9][0-9]{0,3})\s*/\s*([0-9]{2,6})(?:\s*\(([0-9]{4})\.([0-9]{2})\))?"
)
# WIPO ST.8 writes a symbol in fourteen places: A61K0031000000 is A61K 31/00.
_IPC_ST8 = re.compile(r"([A-HY])([0-9]{2})([A-Z])([0-9]{4})([0-9]{6})")

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_BASE32_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
_TEN_BITS = range(110, -1, -10)
"""Where each pair of characters begins in the 120 bits of a record's identifier."""

_LOOKS_LIKE = str.maketrans(
    "АВЕКМНОРСТХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧ\u2044\u2215\u2212",  # noqa: RUF001 that is what it is about
    "ABEKMHOPCTXIJSABEZHIKMNOPTYX//-",
)
_PUNCTUATION = re.compile(r"[^0-9A-Z]")


def record_key(office: str, right: Right, number: str) -> str:
    """Return ``OFFICE/right/NUMBER``: NFKC, upper case, no white space, punctuation kept."""
    return f"{office}/{right}/{normalised_number(number)}"


def normalised_number(number: str) -> str:
    """Return a number for comparison: NFKC, upper case, no white space, punctuation kept."""
    if not number.isascii():
        number = unicodedata.normalize("NFKC", number)
    return "".join(number.upper().split())


def likely_number(number: str) -> str:
    """Return a number as it was probably meant, for the office to confirm.

    Digits of any script become 0 to 9, dashes and strokes plain ones, Cyrillic and Greek capitals
    the Latin ones they look like; what cannot be seen goes.
    """
    plain = []
    for mark in normalised_number(number):
        category = unicodedata.category(mark)
        if category == "Pd":
            plain.append("-")
        elif category != "Cf":
            plain.append(str(unicodedata.decimal(mark, mark)))
    return "".join(plain).translate(_LOOKS_LIKE)


def record_id(key: str) -> str:
    """Return the public, URL-safe identifier of a record key: 24 characters of base32."""
    # What base64.b32encode gives, in lower case, in 5 instead of 8 µs: one is made of every record.
    number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=15).digest(), "big")
    return "".join([_BASE32_PAIRS[number >> shift & 1023] for shift in _TEN_BITS])


@cache
def st3() -> dict[str, dict[str, str]]:
    """Return the lists of ST.3 codes: name of the list, then code, then English name."""
    return {name: codes for name, codes in _codes().items() if name != "languages"}


@cache
def _codes() -> dict[str, Any]:
    codes: dict[str, Any] = yaml.safe_load(
        files("ipregister").joinpath("codes.yaml").read_text("utf-8")
    )
    return codes


@cache
def _countries() -> frozenset[str]:
    return frozenset(code for codes in st3().values() for code in codes)


@cache
def _languages() -> frozenset[str]:
    return frozenset(_codes()["languages"].split())


def country(text: str) -> str | None:
    """Return the ST.3 code in ``text``, current or former, without stray digits and dots.

    Offices write ``VN1`` or ``US-``; what is left when the ornaments are taken away must be
    a code. Compare the answer with the text to see whether something was taken away.
    """
    codes = _countries()
    if text in codes:
        return text
    bare = text.strip().strip("0123456789.- ").upper()
    return bare if bare in codes else None


def is_language(code: str) -> bool:
    """Tell whether ``code`` is a two-letter code of ISO 639-1."""
    return code in _languages()


def nice(text: str) -> int | None:
    """Return the class of the Nice Classification, 1 to 45."""
    bare = text.strip()
    if not (bare.isascii() and bare.isdigit() and len(bare) <= 3):
        return None
    number = int(bare)
    return number if 1 <= number <= 45 else None


def vienna(text: str) -> str | None:
    """Return a Vienna symbol as ``NN.NN.NN`` (or ``NN.NN`` for a whole division)."""
    match = _VIENNA.fullmatch(text.strip())
    if match is None:
        return None
    numbers = [int(group) for group in match.groups() if group is not None]
    if not (1 <= numbers[0] <= 29 and numbers[1]):
        return None
    return ".".join(f"{number:02d}" for number in numbers)


def locarno(text: str) -> str | None:
    """Return a Locarno symbol as ``NN-NN``: class 01 to 32 or 99, then subclass."""
    match = _LOCARNO.fullmatch(text.strip())
    if match is None:
        return None
    main, sub = (int(group) for group in match.groups() if group is not None)
    return f"{main:02d}-{sub:02d}" if 1 <= main <= 32 or main == 99 else None


def ipc(text: str) -> str | None:
    """Return a complete IPC symbol as ``A61K 31/00``; a version in brackets is ``ipc_version``.

    A symbol without main group and subgroup is incomplete and gives ``None``.
    """
    symbol = _patent_symbol(text)
    return None if symbol is None or symbol[0] == "Y" else symbol


def ipc_version(text: str) -> str | None:
    """Return the version in brackets behind an IPC symbol as ``YYYY-MM-01``; none where none is.

    WIPO ST.8 writes a version, which is a month, as its first day.
    """
    match = _IPC.fullmatch(text.strip().upper())
    return f"{match[6]}-{match[7]}-01" if match is not None and match[6] else None


def cpc(text: str) -> str | None:
    """Return a complete symbol of the Cooperative Patent Classification: IPC and section Y."""
    return _patent_symbol(text)


def _patent_symbol(text: str) -> str | None:
    bare = text.strip().upper()
    if match := _IPC.fullmatch(bare):
        section, number, subclass, group, subgroup, *_ = match.groups()
        return f"{section}{number}{subclass} {group}/{subgroup}"
    if match := _IPC_ST8.fullmatch(bare):
        section, number, subclass, group, subgroup = match.groups()
        ending = subgroup[:2] + subgroup[2:].rstrip("0")
        return f"{section}{number}{subclass} {int(group)}/{ending}" if int(group) else None
    return None


def derive_st13(
    office: str,
    patterns: Iterable[tuple[re.Pattern[str], str]],
    number: str,
    application_date: date | None,
) -> str | None:
    """Return the 17-character ST.13 form of an application number, or ``None``.

    Office (2), type of right (2), year (4), serial (9 digits). The year is the one in the
    number, else that of the application date; two digits take the century nearest to it.
    Two numbers may give the same result: finding such collisions is a quality rule.

    Args:
        office: ST.3 code.
        patterns: regular expressions with the group ``serial`` and, where the number has
            one, ``year``; each with its type of right. The first that matches counts.
        number: the office's own application number, as sent.
        application_date: of the record, where known.

    Source:
        WIPO ST.13, in the form WIPO's databases use.
    """
    bare = normalised_number(number)
    for pattern, kind in patterns:
        match = pattern.match(bare)
        if match is None:
            continue
        groups = match.groupdict()
        serial = groups.get("serial") or ""
        if not serial.isdigit():
            serial = _PUNCTUATION.sub("", serial)
        year = _year(groups.get("year"), application_date)
        if year is None or not (serial.isascii() and serial.isdigit()):
            return None
        serial = serial.lstrip("0").rjust(9, "0")
        return f"{office}{kind}{year:04d}{serial}" if len(serial) == 9 else None
    return None


def _year(written: str | None, application_date: date | None) -> int | None:
    if written and len(written) == 4:
        return int(written)
    if application_date is None:
        return None
    filed = application_date.year
    if not written or len(written) != 2:
        return filed
    candidates = (filed // 100 * 100 + int(written) + shift for shift in (-100, 0, 100))
    return min(candidates, key=lambda year: abs(year - filed))
