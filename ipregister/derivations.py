"""Values a record does not carry itself, taken from others as the office's profile says.

A derived value never replaces one the record has, unless the profile insists (``mapping`` sees to
that), and its field is named among the derived ones. What may be derived is data in ``offices/``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date

from ipregister import steps
from ipregister.dates import st2_date
from ipregister.identifiers import normalised_number
from ipregister.levels import Row
from ipregister.profiles import Derivation

Derive = Callable[[Row, Mapping[str, str], list[str]], None]
"""Completes a row from itself and the envelope, and adds the field's name to a list."""


def derivation(entry: Derivation, words: Mapping[str, str] | None, *, is_date: bool) -> Derive:
    """Return the function of one ``derive`` entry, for rows whose value it may replace.

    Args:
        entry: as the profile has it.
        words: its vocabulary, code words folded.
        is_date: whether the field holds dates.
    """
    pattern = re.compile(entry.pattern) if entry.pattern else None
    constant = entry.value
    name, when, source = entry.field, tuple(entry.when.items()), entry.source
    is_of_number = source == "applicationNumber" and pattern is not None

    def derive(row: Row, header: Mapping[str, str], derived: list[str]) -> None:
        for condition, wanted in when:
            if (row.get(condition) or header.get(condition)) not in wanted:
                return
        value = constant
        if source is not None:
            text = header.get(source)
            if text is None:
                text = row.get(source)
            if type(text) is str:  # nearly always: found without a list made for it
                if is_of_number:  # its sign is known however the number is spelt, as its shape is
                    text = normalised_number(text)
                found = text if pattern is None else _match(text, pattern)
            else:
                found = _found(_texts_of(entry, source, row), pattern, in_all=is_date)
            if found is None:
                return
            value = value or (words.get(steps.folded(found)) if words is not None else found)
        made = st2_date(value) if is_date and value else value
        if made and row.get(name) != made:
            row[name] = made
            derived.append(name)

    return derive


def _texts_of(entry: Derivation, source: str, row: Row) -> Iterable[str]:
    """Return the texts a derivation looks at in a row: of a value, or of members of items."""
    if source in row:
        return _as_texts(row[source])
    name, _, member = source.partition(".")
    items = row.get(name, ())
    if isinstance(items, dict):
        items = (items,)
    if entry.latest is not None:
        key = entry.latest
        items = sorted(items, key=lambda item: item.get(key) or date.min, reverse=True)
    return [
        text
        for item in items
        if member and all(item.get(key) in wanted for key, wanted in entry.where.items())
        for text in _as_texts(item.get(member))
    ]


def _as_texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, date):
        return (value.isoformat(),)
    if isinstance(value, list):
        return [part["text"] if isinstance(part, dict) else str(part) for part in value]
    return ()


def _found(texts: Iterable[str], pattern: re.Pattern[str] | None, *, in_all: bool) -> str | None:
    """Return what the first text gives that gives something; ``in_all``: unless others differ.

    Which of several dates is the right one, nobody can tell: events stand in any order, and
    offices write the legal and the administrative date of one step.
    """
    found = (text if pattern is None else _match(text, pattern) for text in texts)
    given = (text for text in found if text is not None)
    first = next(given, None)
    return None if in_all and any(text != first for text in given) else first


def _match(text: str, pattern: re.Pattern[str]) -> str | None:
    match = pattern.search(text)
    if match is None:
        return None
    return match.group(1) if pattern.groups else match.group()
