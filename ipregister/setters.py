"""Setters: put one verbatim text into the open object of a row, or note why not.

Made once per element of a format and called for every record, so they are closures over what
is fixed. What one text means is ``steps``; who calls them is ``record_walk``.
"""

from typing import Any

from ipregister.elements import Element, attribute, language_of
from ipregister.levels import OPENER, Level
from ipregister.record_tree import Issue, Setter, Walk
from ipregister.steps import DIGITS, Step, folded

DUPLICATE_LINE, PLACEHOLDER, REPEATED = "ALL.UNQ.005", "ALL.CMP.016", "ALL.CNF.018"
ONCE_PER_RECORD = frozenset({"ALL.CNF.005", "TM.CNF.008", DUPLICATE_LINE})
"""Issues an exporter repeats in every element of a record: the first of each value says it all."""


def _note(
    walk: Walk,
    code: str,
    level: Level,
    name: str,
    text: str,
    element: Element,
    suggested: str | None = None,
) -> None:
    if code in ONCE_PER_RECORD:
        if (code, text) in walk.told:
            return
        walk.told.add((code, text))
    field, source = level.prefix + name, walk.source_of(element)
    # An element may fill several fields; what is wrong with it is told once.
    place = code, f"{source} {element.sourceline} {text}"
    if place not in walk.told:
        walk.told.add(place)
        walk.issues.append(Issue(code, field, text, element.sourceline, suggested, source))


_MONTHS_IN = {"in month": (1, 1), "in year": (12, 1), "in week": (1, 4), "in day": (1, 28)}
"""Units of a period in ST.96 as months; a month is taken for the shortest there is."""


def in_months(setter: Setter) -> Setter:
    """Return the setter of a period that says its unit (``periodCategory``), for whole months.

    Rounded up: what is to stay secret for a while stays so a few days longer.
    """

    def take(walk: Walk, level: Level, text: str, element: Element) -> None:
        unit = attribute(element, "periodCategory")
        # Of any other text, or of one too long for a count, the setter says so itself.
        if unit is not None and len(text) <= DIGITS and text.isascii() and text.isdigit():
            months, units = _MONTHS_IN.get(folded(unit), (0, 1))
            text = str(-(-int(text) * months // units)) if months else f"{text} {unit}"
        setter(walk, level, text, element)

    return take


# A call of Python costs as much as the rest of a setter, so accepting a text stands in both.


def assigning(
    name: str,
    step: Step | None,
    placeholders: frozenset[str],
    *,
    further: bool = False,
    keep: Setter | None = None,
) -> Setter:
    """Return the setter of a single value; ``further`` begins another item with a second one.

    ``keep`` takes a text the step has an issue with, so that the office's own word is not lost.
    """

    def assign(walk: Walk, level: Level, text: str, element: Element) -> None:
        if text in placeholders:
            _note(walk, PLACEHOLDER, level, name, text, element)
            return
        value: Any = text
        if step is not None:
            value, issue, suggested = step(text)
            if issue is not None:
                _note(walk, issue, level, name, text, element, suggested)
                if keep is not None:
                    keep(walk, level, text, element)
            if value is None:
                return
        row = level.row
        if name not in row:
            row[name] = value
            level.lines[name] = element.sourceline
        elif row[name] != value:
            if further:
                level.begin_further()
                row[name], level.lines[name] = value, element.sourceline
            else:
                _note(walk, REPEATED, level, name, text, element)

    return assign


def appending(
    name: str, step: Step | None, placeholders: frozenset[str], *, report_duplicates: bool = False
) -> Setter:
    """Return the setter of a list of strings; a value the list has is not repeated."""

    def append(walk: Walk, level: Level, text: str, element: Element) -> None:
        if text in placeholders:
            _note(walk, PLACEHOLDER, level, name, text, element)
            return
        value: Any = text
        if step is not None:
            value, issue, suggested = step(text)
            if issue is not None:
                _note(walk, issue, level, name, text, element, suggested)
            if value is None:
                return
        known = level.row.setdefault(name, [])
        if value not in known:
            known.append(value)
            level.lines.setdefault(name, element.sourceline)
        elif report_duplicates:
            _note(walk, DUPLICATE_LINE, level, name, text, element)

    return append


def waiting(name: str, take: Setter, words: frozenset[str], companion: str | None) -> Setter:
    """Return a setter that lets everything else speak first where the text is one of the words.

    ``*`` is any text; where the ``companion`` waits, any does, too.
    """
    always = "*" in words

    def wait(walk: Walk, level: Level, text: str, element: Element) -> None:
        if always or folded(text) in words or any(companion == waits[0] for waits in walk.waiting):
            walk.waiting.append((name, take, level, text, element))
        else:
            take(walk, level, text, element)

    return wait


def of_first(name: str, take: Setter, told: str) -> Setter:
    """Return a setter for what several elements have of their own: that of the first one counts.

    ``told`` is the value that makes one the first: a date of the next one's would not be its.
    """

    def take_first(walk: Walk, level: Level, text: str, element: Element) -> None:
        around = element.getparent()
        firsts = walk.firsts = walk.firsts or {}
        first = firsts.get(told)
        if first is around:
            take(walk, level, text, element)
        elif first is None and name == told:
            take(walk, level, text, element)
            if name in level.row:
                firsts[told] = around

    return take_first


def further_element(name: str, number: int, take: Setter) -> Setter:
    """Return a setter that notes where a value stands which the field's first element has not.

    Args:
        name: of the field.
        number: of the element among those that fill the field, from 1.
        take: puts the text into the field.
    """
    key = f"{OPENER}{name}"

    def note(walk: Walk, level: Level, text: str, element: Element) -> None:
        row = level.row
        before = row.get(name)
        known = len(before) if type(before) is list else 0
        take(walk, level, text, element)
        value = row.get(name)
        if type(value) is list:
            if len(value) > known:
                level.lines.setdefault(key, {})[str(known)] = number
        elif value is not before:
            level.lines[key] = number

    return note


def expecting(words: frozenset[str], code: str, name: str) -> Setter:
    """Return what notes a word that says other values mean something else than they are read as."""

    def expect(walk: Walk, level: Level, text: str, element: Element) -> None:
        if folded(text) not in words:
            _note(walk, code, level, name, text, element)

    return expect


def localised(
    name: str, language: Step, placeholders: frozenset[str], *, report_duplicates: bool
) -> Setter:
    """Return the setter of a list of texts with their languages; equal ones stand once.

    A person's name may say its language itself or, as ST.96 has it, in an element around it.

    Names, whose duplicates are reported, are equal in whatever case and language. Elsewhere a
    word of two languages, or APPLE beside Apple, is two texts.
    """

    def add(walk: Walk, level: Level, text: str, element: Element) -> None:
        if text in placeholders:
            _note(walk, PLACEHOLDER, level, name, text, element)
            return
        entry = {"text": text}
        tag = element.get("languageCode")
        if tag is None:
            tag = language_of(element)
            if tag is None and walk.speaks:
                tag = walk.language_around(element)
        if tag and tag.strip():
            code, issue, suggested = language(tag)
            if code is not None:
                entry["languageCode"] = code
            if issue is not None:
                _note(walk, issue, level, name, tag, element, suggested)
        known = level.row.get(name)
        if known is None:
            level.row[name] = [entry]
            level.lines[name] = element.sourceline
            return
        if report_duplicates:
            same = text.casefold()
            if any(other["text"].casefold() == same for other in known):
                _note(walk, DUPLICATE_LINE, level, name, text, element)
                return
        elif entry in known:
            return
        known.append(entry)
        # One line for one text, as nearly always; for several, theirs in order.
        line = level.lines[name]
        if type(line) is list:
            line.append(element.sourceline)
        else:
            level.lines[name] = [line, element.sourceline]

    return add


def into_struct(struct: str, inner: Setter) -> Setter:
    """Return the setter of a member of a nested object."""

    def assign(walk: Walk, level: Level, text: str, element: Element) -> None:
        lines = level.lines.get(struct, {"": element.sourceline})
        inside = Level(level.row.get(struct, {}), lines, level, struct)
        inner(walk, inside, text, element)
        if inside.row:
            level.row[struct], level.lines[struct] = inside.row, inside.lines

    return assign
