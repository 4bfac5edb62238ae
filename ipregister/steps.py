"""Steps: one verbatim text becomes one canonical value, or an issue says why not.

Every step is a pure function of the text and is remembered, because registers repeat
themselves: a million records hold a few thousand dates and a few dozen codes.
"""

import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ipregister import dates, identifiers

Outcome = tuple[Any, str | None, str | None]
"""The value (``None``: leave the field out), the code of the rule that was broken, a suggestion."""

Step = Callable[[str], Outcome]

_REMEMBERED = 65_536
"""Texts a step remembers: some 200 years of dates, at about 10 MB in all."""

DIGITS = 9
"""A count in a register; what is longer is a number of another kind and fits no column."""


@lru_cache(_REMEMBERED)
def folded(text: str) -> str:
    """Return a code word for comparison: NFC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


@lru_cache(_REMEMBERED)
def _date(text: str) -> Outcome:
    value = dates.st2_date(text)
    if value is None:
        return None, "ALL.CNF.002", dates.suggest_date(text)
    if dates.is_suspect_year(value.year):
        return None, "ALL.CNF.003", dates.suggest_date(text)
    return value, None, None


@lru_cache(_REMEMBERED)
def _integer(text: str) -> Outcome:
    if len(text) <= DIGITS and text.isascii() and text.isdigit():
        return int(text), None, None
    return None, "ALL.CNF.013", None


@lru_cache(64)
def _boolean(text: str) -> Outcome:
    value = {
        "true": True,
        "1": True,
        "y": True,
        "yes": True,
        "false": False,
        "0": False,
        "n": False,
        "no": False,
    }
    if (word := folded(text)) in value:
        return value[word], None, None
    return None, "ALL.CNF.013", None


def _unless_no(text: str) -> Outcome:
    """Read a word that keeps something secret: what cannot be read might say so."""
    value, issue, suggested = _boolean(text)
    return value is not False, issue, suggested


@lru_cache(4_096)
def _country(text: str) -> Outcome:
    code = identifiers.country(text)
    if code is None:
        return None, "ALL.CNF.004", None
    return code, (None if code == text else "ALL.CNF.004"), (None if code == text else code)


@lru_cache(_REMEMBERED)
def _ipc_version(text: str) -> Outcome:
    version = identifiers.ipc_version(text)
    return (None, None, None) if version is None else _date(version)


def _classified(parse: Callable[[str], Any], code: str) -> Step:
    @lru_cache(_REMEMBERED)
    def step(text: str) -> Outcome:
        value = parse(text)
        return value, (code if value is None else None), None

    return step


STEPS: dict[str, Step] = {
    "date": _date,
    "integer": _integer,
    "months": _integer,
    "boolean": _boolean,
    "unlessNo": _unless_no,
    "country": _country,
    "nice": _classified(identifiers.nice, "TM.CNF.001"),
    "vienna": _classified(identifiers.vienna, "TM.CNF.002"),
    "locarno": _classified(identifiers.locarno, "DS.CNF.001"),
    "cpc": _classified(identifiers.cpc, "PT.CNF.001"),
    "ipcVersion": _ipc_version,
    "ipc": _classified(identifiers.ipc, "PT.CNF.001"),
}


def language(aliases: Mapping[str, str]) -> Step:
    """Return the step for language codes (ISO 639-1), mending an office's known aliases."""

    @lru_cache(1_024)
    def step(text: str) -> Outcome:
        word = text.strip().lower()
        if word in aliases:
            return aliases[word], "ALL.CNF.005", aliases[word]
        if identifiers.is_language(word):
            return word, (None if word == text else "ALL.CNF.005"), (None if word == text else word)
        return None, "ALL.CNF.005", None

    return step


def code_list(words: Mapping[str, str], unmapped: str | None, issue: str) -> Step:
    """Return the step for one vocabulary; a word outside it becomes ``unmapped`` and an issue."""

    @lru_cache(_REMEMBERED)
    def step(text: str) -> Outcome:
        value = words.get(folded(text))
        if value is None:
            return unmapped, issue, None
        return value, None, None

    return step
