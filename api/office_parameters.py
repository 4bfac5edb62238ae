"""Query parameters of offices' routes: words of a vocabulary, days."""

import datetime as dt
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from ipregister.errors import InvalidRequest

Word = TypeVar("Word", bound=StrEnum)

_DAY = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}")


def read_choices(
    name: str, values: Mapping[str, str], words: type[Word], *, most: int | None = None
) -> tuple[Word, ...] | None:
    """Return the words of a vocabulary that a parameter names, separated by commas.

    Args:
        name: the parameter.
        values: all parameters.
        words: the vocabulary.
        most: how many may be named; all when not given.

    Returns:
        The words; ``None`` when the parameter is not there.

    Raises:
        InvalidRequest: it is empty, or names something else.
    """
    if name not in values:
        return None
    named = tuple(part.strip() for part in values[name].split(","))
    most = most or len(words)
    if not set(named) <= set(words) or len(named) > most:
        count = "one" if most == 1 else "some"
        raise InvalidRequest(f"{name}: {count} of {', '.join(words)}.")
    return tuple(words(word) for word in named)


def read_choice(name: str, values: Mapping[str, str], words: type[Word]) -> Word | None:
    """Return the one word of a vocabulary that a parameter names, ``None`` without it.

    Raises:
        InvalidRequest: it is empty, or names something else.
    """
    named = read_choices(name, values, words, most=1)
    return named[0] if named else None


def read_date(name: str, values: Mapping[str, str]) -> dt.date | None:
    """Return the day a parameter names, ``None`` without it.

    Raises:
        InvalidRequest: it is not a day of the calendar.
    """
    if name not in values:
        return None
    try:
        if not _DAY.fullmatch(values[name]):  # fromisoformat also takes week dates
            raise ValueError
        return dt.date.fromisoformat(values[name])
    except ValueError as exc:
        raise InvalidRequest(f"{name}: a date as YYYY-MM-DD.") from exc
