"""One source record and one office's format become one canonical row and its issues.

A record is read in one pass, along the tree that ``format_tree`` made of the format. What an
entry cannot turn into a canonical value is left out of the row and noted as an issue with its
line and verbatim text: nothing is converted silently and no record is lost for one value.
Reading bytes and judging rows do not belong here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from ipregister import record_walk, steps
from ipregister.elements import Element, attribute
from ipregister.format_tree import FormatTree
from ipregister.identifiers import derive_st13, likely_number, record_key
from ipregister.levels import OPENER, PASSED, ROUTED, Level, Row
from ipregister.model import Right, load_tables
from ipregister.profiles import Format, Route, load_profile
from ipregister.record_tree import Issue, Unknown, Walk

FLATTENED_PARTIES, UNKNOWN_SHAPE = "ALL.CNS.018", "ALL.CNF.001"

PARTIES = ("applicants", "representatives", "inventors", "designers")

STEP = re.compile(r"([A-Za-z0-9]+)(?:\[([0-9]+)\])?")
"""One name of a canonical path, and which item of its list is meant."""

_NAMES = frozenset({"officeCode", "applicationNumber", "registrationNumber"})
"""Fields that say which record is meant: all that counts of one that is to be deleted."""


@dataclass(slots=True)
class Mapped:
    """One record as understood: its row, the line of every value, and the issues met.

    ``key`` is ``None`` when the record has no number of its own. ``lines`` mirrors the row:
    field to line, or for lists one mapping per item with the item's own line under ``""``.
    ``derived`` names the fields whose value the record did not carry itself. ``is_removal``
    says that the office deletes the record of this number.
    """

    row: Row
    lines: dict[str, Any]
    issues: list[Issue]
    key: str | None = None
    derived: list[str] = field(default_factory=list)
    is_removal: bool = False


class RecordMapping:
    """A compiled format: apply it to record elements of one office and right."""

    def __init__(self, office: str, right: Right, format: Format) -> None:
        """Compile a format against the table of the right.

        Raises:
            ConfigurationError: an entry names a field the table does not have, a list no
                element opens, or a vocabulary that does not exist.
        """
        self.office, self.right, self.format = office, right, format
        self.table = load_tables()[right]
        self._tree = FormatTree(format, self.table)
        # What is there already is asked here, for nearly all are; a forced value has no name.
        self._derivations = [
            (None if entry.force else entry.field, self._tree.derivation(entry))
            for entry in format.derive
        ]
        self._removals = [
            (entry.source, frozenset(map(steps.folded, entry.words))) for entry in format.removal
        ]
        self._number_shape = _any_of(format.number_shapes)
        self._shapes = [(re.compile(shape.pattern), shape.type) for shape in format.st13]

    def apply(self, record: Element, header: Mapping[str, str], unknown: Unknown) -> Mapped:
        """Return the canonical row of one record element.

        Args:
            record: the element named by the format's ``record``.
            header: what the reader kept of the envelope, by header name.
            unknown: elements the format does not know are counted here.
        """
        row: Row = {}
        lines: dict[str, Any] = {"": record.sourceline}
        walk = Walk(unknown, record, self._tree.root)
        record_walk.read_record(walk, Level(row, lines), record, self._tree.root)
        mapped = Mapped(row, lines, walk.issues)
        for route in self.format.route:
            _send(route, mapped)
        for name, derive in self._derivations:
            if name not in row:
                derive(row, header, mapped.derived)
        mapped.is_removal = bool(self._removals) and self._says_removal(record, row, header)
        if mapped.is_removal:
            mapped.issues[:] = [issue for issue in mapped.issues if issue.field in _NAMES]
        else:
            self._note_flattened_parties(mapped)
        self._identify(mapped)
        return mapped

    def element_path(self, path: str, opener: int = 0, further: int = 0) -> str | None:
        """Return the source path of a canonical path; see ``FormatTree.element_path``."""
        return self._tree.element_path(path, opener, further)

    def element_in(self, lines: Any, field: str) -> str | None:
        """Return the source path of a field in one record, by the lines of its row."""
        opener, place = 0, ""
        further: Any = 0
        for name, index in STEP.findall(field):
            if isinstance(lines, dict):
                further, lines = lines.get(f"{OPENER}{name}", 0), lines.get(name)
            place += f".{name}"
            if not index:
                continue
            if isinstance(further, dict):
                further = further.get(index, 0)
            passed = 0
            if isinstance(lines, list):
                lines = lines[int(index)]
            if isinstance(lines, dict):
                opener, passed = lines.get(OPENER, opener), lines.get(PASSED, 0)
            place += f"[{int(index) + passed}]"
        if isinstance(further, dict):
            further = further.get("0", 0)
        return self._tree.element_path(place[1:], opener, further)

    def _says_removal(self, record: Element, row: Row, header: Mapping[str, str]) -> bool:
        for source, words in self._removals:
            if source.startswith("@"):
                value = attribute(record, source[1:])
            else:
                value = row.get(source) or header.get(source)
            if isinstance(value, str) and steps.folded(value) in words:
                return True
        return False

    def _note_flattened_parties(self, mapped: Mapped) -> None:
        """Note parties whose name has several lines in one language: probably several parties."""
        for role in PARTIES:
            for index, party in enumerate(mapped.row.get(role, ())):
                names = party.get("names", ())
                if len(names) < 2:
                    continue
                if len(names) > len({name.get("languageCode") for name in names}):
                    value = " / ".join(name["text"] for name in names)
                    field, line = f"{role}[{index}].names", mapped.lines[role][index]["names"][0]
                    source = self.element_in(mapped.lines, field)
                    issue = Issue(FLATTENED_PARTIES, field, value, line, source=source)
                    mapped.issues.append(issue)

    def _identify(self, mapped: Mapped) -> None:
        row = mapped.row
        number = row.get("applicationNumber")
        if number is None:
            if "registrationNumber" not in row:
                return
            number = f"R{row['registrationNumber']}"
        elif not self._has_known_shape(number):
            line, likely = mapped.lines.get("applicationNumber"), likely_number(number)
            suggested = likely if likely != number and self._has_known_shape(likely) else None
            mapped.issues.append(Issue(UNKNOWN_SHAPE, "applicationNumber", number, line, suggested))
        mapped.key = record_key(self.office, self.right, number)
        if st13 := derive_st13(self.office, self._shapes, number, row.get("applicationDate")):
            row["st13"] = st13

    def _has_known_shape(self, number: str) -> bool:
        if self._number_shape is None:
            # Digits of another script and invisible spaces are no office's, known or not.
            return number.isascii()
        return self._number_shape.fullmatch(number) is not None


def _any_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def _send(route: Route, mapped: Mapped) -> None:
    """Move the items of a pseudo list to the lists their values choose, and what is said of them.

    Of an item that says nothing new nothing is said.
    """
    row, lines = mapped.row, mapped.lines
    by, to, otherwise = route.by, route.to, route.otherwise
    places: list[tuple[str, int] | None] = []
    for item, line in zip(row.pop(route.source, ()), lines.pop(route.source, ()), strict=True):
        target = to.get(item.get(by, ""), otherwise)
        if (same := route.unless_same) is not None:
            if item.get(same) and any(_says_all(other, item) for other in row.get(target, ())):
                places.append(None)
                continue
            line[OPENER] = ROUTED
        if target in row:
            places.append((target, len(row[target])))
            row[target].append(item)
            lines[target].append(line)
        else:
            places.append((target, 0))
            row[target], lines[target] = [item], [line]
    if mapped.issues:
        mapped.issues[:] = _moved(mapped.issues, route, places)


def _says_all(one: Row, other: Row) -> bool:
    return all(one.get(name) == value for name, value in other.items())


def _moved(
    issues: list[Issue], route: Route, places: Sequence[tuple[str, int] | None]
) -> Iterator[Issue]:
    """Yield issues with the fields that items of a pseudo list have now."""
    for issue in issues:
        if not issue.field.startswith(f"{route.source}["):
            yield issue
            continue
        index, _, member = issue.field.removeprefix(f"{route.source}[").partition("]")
        if int(index) >= len(places):
            # An element nothing could be read of is no item.
            yield replace(issue, field=f"{route.otherwise}{member}")
        elif (place := places[int(index)]) is not None:
            yield replace(issue, field=f"{place[0]}[{place[1]}]{member}")


@cache
def mapping_for(office: str, right: Right) -> RecordMapping:
    """Return the compiled mapping of one office and right.

    Raises:
        ConfigurationError: the office has no valid profile or does not send this right.
    """
    return RecordMapping(office, right, load_profile(office).format_of(right))
