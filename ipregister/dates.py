"""Days as WIPO ST.2 writes them, and years of another era.

A text that is not a day gives ``None``, never an exception and never a guess; what it may have
meant is a proposal for the office. How a broken value is reported is ``steps``.
"""

import re
import unicodedata
from datetime import date, timedelta

from ipregister.errors import InvalidRequest

_BUDDHIST_YEARS = range(2440, 2601)
"""Years that only the Buddhist era (Gregorian + 543) explains: 1897 to 2057."""

_LAST_YEAR_FROM_APRIL = 2483
"""Until then the Thai year began in April: January to March lie 542 years back, not 543. This
year itself had none of them, for it ended in December."""

_TIME_OR_ZONE = re.compile(
    r"(?:[T ](?P<clock>(?:[01][0-9]|2[0-4]):[0-5][0-9])(?::[0-6][0-9](?:\.[0-9]+)?)?)?"
    r" ?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_UTC = frozenset({"Z", "+00:00", "+0000", "-00:00", "-0000"})
_OTHER_UTC = re.compile(r"(:[0-9]{2}(?:\.[0-9]+)?) ?(?:UTC|GMT|[+-]00)$")
"""How databases and programs write it; no date of ST.2, and read for the proposal only."""

_NEXT_DAY_SOMEWHERE, _NEXT_DAY_EVERYWHERE = "15:00", "17:30"
"""From when on, in UTC, it is the next day in the first and in the last of ASEAN's time zones."""

_THREE_NUMBERS = re.compile(
    r"([0-9]{1,4})\s*[-/.\s]\s*([0-9]{1,2}|[A-Za-z]{3,9})\.?\s*[-/.,\s]\s*([0-9]{1,4})(?![0-9])"
)
_MONTH_FIRST = re.compile(r"([A-Za-z]{3,9})\.?\s+([0-9]{1,2}),?\s+([0-9]{4})(?![0-9])")
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def st2_date(text: str) -> date | None:
    """Return the date WIPO ST.2 writes ``YYYY-MM-DD`` or ``YYYYMMDD``.

    A time or zone behind the date, as XML Schema allows, is not part of it, unless the office's
    day may be the next one: an exporter that turns its midnight into UTC writes the evening
    before. Any other spelling is ``None``: see ``suggest_date`` for what it may have meant.
    """
    if not text.isascii():
        return None
    day = text[:10]
    if len(text) > 10:
        behind = _TIME_OR_ZONE.fullmatch(text, 10)
        if behind is None or _is_of_next_day(behind):
            return None
    elif len(text) == 8 and text.isdigit():
        day = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    # date.fromisoformat also takes ISO week dates, which ST.2 does not know.
    if len(day) != 10 or day[4] != "-" or day[7] != "-":
        return None
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None


def _is_of_next_day(behind: re.Match[str]) -> bool:
    """Tell whether a time may lie in the day after its date, for an office in South-East Asia."""
    clock = behind["clock"] or ""
    return clock >= "24" or (clock >= _NEXT_DAY_SOMEWHERE and behind["zone"] in _UTC)


def is_suspect_year(year: int) -> bool:
    """Tell whether a year is probably Buddhist-era or lost its century."""
    return year in _BUDDHIST_YEARS or year < 100


def refuse_other_era(*days: date | None) -> None:
    """Refuse a day of the Buddhist era: 2570 for 2027 would hold for five centuries.

    Raises:
        InvalidRequest: one of the days has such a year.
    """
    for day in days:
        if day and is_suspect_year(day.year):
            raise InvalidRequest(f"{day}: write the year in the Gregorian calendar")


def suggest_date(text: str) -> str | None:
    """Return the ISO date a text most probably means, for the office to confirm.

    Reads digits of any script, Buddhist-era years, day-first numbers, English months and
    evenings of UTC, which are the next day here. Where day and month could be swapped, or the
    century is missing, there is no proposal.
    """
    plain = _OTHER_UTC.sub(r"\1Z", _ascii_digits(text.strip()))
    behind = _TIME_OR_ZONE.fullmatch(plain, 10)
    if behind and _is_of_next_day(behind):
        clock = behind["clock"]
        # A full hour is midnight somewhere; other times may be late the same evening.
        is_sure = clock >= _NEXT_DAY_EVERYWHERE or clock.endswith(":00")
        written = suggest_date(plain[:10]) if is_sure else None
        return written and _day_after(written)
    if len(plain) == 8 and plain.isdigit():
        return _iso(int(plain[:4]), int(plain[4:6]), int(plain[6:]))
    if match := _MONTH_FIRST.match(plain):
        return _iso(int(match[3]), _month(match[1]), int(match[2]))
    if not (match := _THREE_NUMBERS.match(plain)):
        return None
    first, middle, last = match.groups()
    if len(first) == 4:
        return _iso(int(first), _month(middle), int(last))
    if len(last) != 4:
        return None
    day, month = int(first), _month(middle)
    if middle.isdigit() and day <= 12 and month <= 12 and day != month:
        return None
    if month > 12:
        day, month = month, day
    return _iso(int(last), month, day)


def _day_after(day: str) -> str | None:
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except OverflowError:
        return None


def _ascii_digits(text: str) -> str:
    """Replace Thai, Khmer, Lao, Myanmar and any other decimal digits by 0-9."""
    if text.isascii():
        return text
    digits = (str(unicodedata.decimal(mark, mark)) for mark in text)
    return unicodedata.normalize("NFKC", "".join(digits))


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    name = text[:3].lower()
    return _MONTHS.index(name) + 1 if name in _MONTHS else 0


def _iso(year: int, month: int, day: int) -> str | None:
    if year in _BUDDHIST_YEARS:
        year -= 542 if year < _LAST_YEAR_FROM_APRIL and month < 4 else 543
    try:
        return None if is_suspect_year(year) else date(year, month, day).isoformat()
    except ValueError:
        return None
