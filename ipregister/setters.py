"""Setters: put one verbatim text into the open object of a row, or note why not.

Made once per element of a format and called for every record, so they are closures over what
is fixed. What one text means is ``steps``; who calls them is ``record_tree``.
"""

from collections.abc import Callable
from typing import Any

from ipregister.record_tree import Element, Issue, Level, Setter, Walk, attribute
from ipregister.steps import Step

DUPLICATE_LINE, PLACEHOLDER, REPEATED = "ALL.UNQ.005", "ALL.CMP.016", "ALL.CNF.018"


def _accepting(
    name: str, step: Step | None, placeholders: frozenset[str]
) -> Callable[[Walk, Level, str, Element], Any]:
    """Return what makes a value of a text; ``None`` when there is none, with an issue."""

    def accepted(walk: Walk, level: Level, text: str, element: Element) -> Any:
        if text in placeholders:
            walk.issues.append(Issue(PLACEHOLDER, level.prefix + name, text, element.sourceline))
            return None
        if step is None:
            return text
        value, issue, suggested = step(text)
        if issue:
            walk.issues.append(
                Issue(issue, level.prefix + name, text, element.sourceline, suggested)
            )
        return value

    return accepted


def assigning(name: str, step: Step | None, placeholders: frozenset[str]) -> Setter:
    """Return the setter of a single value."""
    accepted = _accepting(name, step, placeholders)

    def assign(walk: Walk, level: Level, text: str, element: Element) -> None:
        value = accepted(walk, level, text, element)
        if value is None:
            return
        row = level.row
        if name in row:
            if row[name] != value:
                walk.issues.append(Issue(REPEATED, level.prefix + name, text, element.sourceline))
            return
        row[name] = value
        level.lines[name] = element.sourceline

    return assign


def appending(name: str, step: Step | None, placeholders: frozenset[str]) -> Setter:
    """Return the setter of a list of strings; a value the list has is not repeated."""
    accepted = _accepting(name, step, placeholders)

    def append(walk: Walk, level: Level, text: str, element: Element) -> None:
        value = accepted(walk, level, text, element)
        if value is None:
            return
        known = level.row.setdefault(name, [])
        if value not in known:
            known.append(value)
            level.lines.setdefault(name, element.sourceline)

    return append


def localised(
    name: str, language: Step, placeholders: frozenset[str], *, report_duplicates: bool
) -> Setter:
    """Return the setter of a list of texts with their languages; equal texts stand once."""

    def add(walk: Walk, level: Level, text: str, element: Element) -> None:
        if text in placeholders:
            walk.issues.append(Issue(PLACEHOLDER, level.prefix + name, text, element.sourceline))
            return
        entry = {"text": text}
        if (tag := attribute(element, "languageCode")) and tag.strip():
            code, issue, suggested = language(tag)
            if code:
                entry["languageCode"] = code
            if issue:
                walk.issues.append(
                    Issue(issue, level.prefix + name, tag, element.sourceline, suggested)
                )
        known = level.row.get(name)
        if known is None:
            level.row[name] = [entry]
            level.lines[name] = element.sourceline
            return
        same = text.casefold()
        for other in known:
            if other["text"].casefold() == same:
                if report_duplicates:
                    walk.issues.append(
                        Issue(DUPLICATE_LINE, level.prefix + name, text, element.sourceline)
                    )
                return
        known.append(entry)

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
