"""One source record and one office's format become one canonical row and its issues.

The format's entries are compiled into a tree that follows the source elements, so a record
is read in one pass. What an entry cannot turn into a canonical value is left out of the
row and noted as an issue with its line and verbatim text: nothing is converted silently and
no record is lost for one value. Reading bytes and judging rows do not belong here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ipregister import record_tree, setters, steps
from ipregister.derivations import Derive, derivation
from ipregister.errors import ConfigurationError
from ipregister.identifiers import derive_st13, record_key
from ipregister.model import Member, Right, Table, load_tables
from ipregister.profiles import Derivation, Entry, Format, Route, load_profile
from ipregister.record_tree import Element, Issue, Level, Node, Row, Setter, Unknown, Walk

FLATTENED_PARTIES, UNKNOWN_SHAPE = "ALL.CNS.018", "ALL.CNF.001"
UNMAPPED = "ALL.CNF.006"
ONCE_PER_RECORD = frozenset({"ALL.CNF.005", setters.DUPLICATE_LINE})
"""Issues an exporter repeats in every element of a record: the first of each value says it all."""

PARTIES = ("applicants", "representatives", "inventors", "designers")

_INDEX = re.compile(r"\[([0-9]+)\]")


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
        self.table: Table = load_tables()[right]
        self._sources: dict[str, str] = {}
        self._members = _members_of(self.table, format.route)
        self._vocabularies = {
            name: {steps.folded(word): value for word, value in words.items()}
            for name, words in format.vocabularies.items()
        }
        self._placeholders = frozenset(format.placeholders)
        self._language = steps.language(format.language_aliases)
        self._root = Node("")
        for path, entries in format.elements.items():
            self._compile(path, entries)
        self._root.settle()
        self._sources |= _routed(self._sources, format.route)
        # What is there already is asked here, for nearly all are; a forced value has no name.
        self._derivations = [
            (None if entry.force else entry.field, self._derivation(entry))
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
        walk = Walk(unknown)
        record_tree.read_record(walk, Level(row, lines), record, self._root)
        mapped = Mapped(row, lines, walk.issues)
        for route in self.format.route:
            _send(route, mapped)
        for name, derive in self._derivations:
            if name not in row:
                derive(row, header, mapped.derived)
        mapped.is_removal = bool(self._removals) and self._says_removal(record, row, header)
        _note_flattened_parties(mapped)
        self._identify(mapped)
        if len(mapped.issues) > 1:
            mapped.issues = _without_repetitions(mapped.issues)
        return mapped

    def _says_removal(self, record: Element, row: Row, header: Mapping[str, str]) -> bool:
        for source, words in self._removals:
            if source.startswith("@"):
                value = record_tree.attribute(record, source[1:])
            else:
                value = row.get(source) or header.get(source)
            if isinstance(value, str) and steps.folded(value) in words:
                return True
        return False

    def element_path(self, path: str) -> str | None:
        """Return the source path of a canonical path, item numbers 1-based as in XPath.

        ``applicants[1].countryCode`` becomes ``TradeMark/ApplicantDetails/Applicant[2]/…``;
        ``None`` when no source element fills the field (a derived value). Items of a routed list
        have no number: theirs counts among those of one list, the office's among all.
        """
        source = self._sources.get(_INDEX.sub("", path))
        if source is None:
            return None
        for match in reversed(list(_INDEX.finditer(path))):
            opener = self._sources.get(_INDEX.sub("", path[: match.start()]) + "[]")
            if opener and source.startswith(opener):
                source = f"{opener}[{int(match.group(1)) + 1}]{source[len(opener) :]}"
        record = self.format.record
        return f"{record if isinstance(record, str) else record[0]}/{source}"

    def _compile(self, path: str, entries: tuple[Entry, ...]) -> None:
        parts = path.split("/")
        attribute = parts.pop()[1:] if parts[-1].startswith("@") else None
        node = self._root
        opened = [""]
        for position, name in enumerate(parts):
            node = node.child(name)
            above = self.format.elements.get("/".join(parts[: position + 1]), ())
            opened += [entry.item for entry in above if entry.item]
        setters = node.setters
        if attribute:
            setters = []
            node.attributes.append((attribute, setters))
        for entry in entries:
            node.ignore |= entry.ignore
            if entry.item:
                self._compile_item(entry, node, opened[:-1])
            if entry.field:
                setters.append(self._compile_field(entry, path, opened))
                self._sources.setdefault(entry.field, path)

    def _compile_item(self, entry: Entry, node: Node, opened: list[str]) -> None:
        assert entry.item is not None  # noqa: S101 narrowed by the caller
        self._member(entry.item, node.path)
        parent, _, node.item = entry.item.rpartition(".")
        if parent not in opened:
            raise ConfigurationError(f"{self._place(node.path)}: no element above opens {parent!r}")
        node.item_depth = opened.index(parent)
        node.constants = dict(entry.set)
        self._sources.setdefault(f"{entry.item}[]", node.path)
        self._sources.setdefault(entry.item, node.path)

    def _compile_field(self, entry: Entry, path: str, opened: list[str]) -> tuple[int, Setter]:
        assert entry.field is not None  # noqa: S101 narrowed by the caller
        member = self._member(entry.field, path)
        depth = max(
            i for i, item in enumerate(opened) if not item or entry.field.startswith(f"{item}.")
        )
        relative = entry.field.removeprefix(f"{opened[depth]}.")
        struct, _, name = relative.rpartition(".")
        setter = self._leaf(entry, member, name)
        if not struct:
            return depth, setter
        if self._member(entry.field.rpartition(".")[0], path).type != "struct" or "." in struct:
            raise ConfigurationError(
                f"{self._place(path)}: no element above opens the list of {entry.field!r}"
            )
        return depth, setters.into_struct(struct, setter)

    def _leaf(self, entry: Entry, member: Member, name: str) -> Setter:
        if member.type == "texts":
            return setters.localised(
                name, self._language, self._placeholders, report_duplicates=name == "names"
            )
        step = self._step(entry, member)
        if member.type == "strings":
            return setters.appending(name, step, self._placeholders)
        return setters.assigning(name, step, self._placeholders)

    def _step(self, entry: Entry, member: Member) -> steps.Step | None:
        if entry.vocabulary:
            words = self._vocabulary(entry.vocabulary)
            return steps.code_list(words, entry.unmapped, entry.issue or UNMAPPED)
        kind = entry.step or member.type
        if kind == "language":
            return self._language
        if kind in ("text", "string", "strings", "verbatim"):
            return None
        return steps.STEPS[kind]

    def _member(self, canonical: str, path: str) -> Member:
        try:
            return self._members[canonical]
        except KeyError:
            raise ConfigurationError(
                f"{self._place(path)}: the table {self.table.name} has no {canonical!r}"
            ) from None

    def _place(self, path: str) -> str:
        return f"format {self.format.format}, element {path}"

    def _vocabulary(self, name: str) -> dict[str, str]:
        try:
            return self._vocabularies[name]
        except KeyError:
            raise ConfigurationError(
                f"format {self.format.format}: there is no vocabulary {name!r}"
            ) from None

    def _derivation(self, entry: Derivation) -> Derive:
        member = self._member(entry.field, "derive")
        words = self._vocabulary(entry.vocabulary) if entry.vocabulary else None
        return derivation(entry, words, is_date=member.type == "date")

    def _identify(self, mapped: Mapped) -> None:
        row = mapped.row
        number = row.get("applicationNumber")
        if number is None:
            if "registrationNumber" not in row:
                return
            number = f"R{row['registrationNumber']}"
        elif self._number_shape and not self._number_shape.fullmatch(number):
            line = mapped.lines.get("applicationNumber")
            mapped.issues.append(Issue(UNKNOWN_SHAPE, "applicationNumber", number, line))
        mapped.key = record_key(self.office, self.right, number)
        if st13 := derive_st13(self.office, self._shapes, number, row.get("applicationDate")):
            row["st13"] = st13


def _members_of(table: Table, routes: tuple[Route, ...]) -> dict[str, Member]:
    members: dict[str, Member] = {path: member for path, member, _ in table.paths()}
    for route in routes:
        target = members[route.otherwise]
        members[route.source] = target
        members |= {f"{route.source}.{member.name}": member for member in target.fields}
    return members


def _routed(sources: Mapping[str, str], routes: tuple[Route, ...]) -> dict[str, str]:
    """Return where members of routed lists stand: where those of the pseudo list do."""
    return {
        f"{target}{name.removeprefix(route.source)}": path
        for route in routes
        for target in sorted({*route.to.values(), route.otherwise})
        for name, path in sources.items()
        if name == route.source or name.startswith(f"{route.source}.")
    }


def _any_of(patterns: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def _send(route: Route, mapped: Mapped) -> None:
    """Move the items of a pseudo list to the lists their values choose."""
    row, lines = mapped.row, mapped.lines
    items = row.pop(route.source, None)
    if items is None:
        return
    by, to, otherwise = route.by, route.to, route.otherwise
    for item, line in zip(items, lines.pop(route.source), strict=True):
        target = to.get(item.get(by, ""), otherwise)
        if target in row:
            row[target].append(item)
            lines[target].append(line)
        else:
            row[target], lines[target] = [item], [line]


def _note_flattened_parties(mapped: Mapped) -> None:
    """Note parties whose name has several lines in one language: probably several parties."""
    for role in PARTIES:
        for index, party in enumerate(mapped.row.get(role, ())):
            names = party.get("names", ())
            if len(names) < 2:
                continue
            if len(names) > len({name.get("languageCode") for name in names}):
                value = " / ".join(name["text"] for name in names)
                line = mapped.lines[role][index].get("names")
                mapped.issues.append(
                    Issue(FLATTENED_PARTIES, f"{role}[{index}].names", value, line)
                )


def _without_repetitions(issues: list[Issue]) -> list[Issue]:
    seen: set[tuple[str, str]] = set()
    kept = []
    for issue in issues:
        if issue.code in ONCE_PER_RECORD:
            if (issue.code, issue.value) in seen:
                continue
            seen.add((issue.code, issue.value))
        kept.append(issue)
    return kept


@cache
def mapping_for(office: str, right: Right) -> RecordMapping:
    """Return the compiled mapping of one office and right.

    Raises:
        ConfigurationError: the office has no valid profile or does not send this right.
    """
    return RecordMapping(office, right, load_profile(office).format_of(right))
