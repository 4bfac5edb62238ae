"""One office's format, compiled against the canonical table into a tree.

The tree follows the source elements, so a record is read in one pass (``record_walk``); what is
made of what was read is ``mapping``. A format that does not fit the table is refused here, before
any record is read.
"""

import re
from collections.abc import Mapping

from ipregister import setters, steps
from ipregister.derivations import Derive, derivation
from ipregister.errors import ConfigurationError
from ipregister.model import Member, Table
from ipregister.profiles import Derivation, Entry, Format, Route
from ipregister.record_tree import Node, Setter

UNMAPPED = "ALL.CNF.006"
ANY = frozenset("*")

_INDEX = re.compile(r"\[([0-9]+)\]")


class FormatTree:
    """A compiled format: the ``root`` of its tree, and where each canonical field stands in it."""

    def __init__(self, format: Format, table: Table) -> None:
        """Compile every element the format names.

        Raises:
            ConfigurationError: an entry names a field the table does not have, a list no
                element opens, or a vocabulary that does not exist.
        """
        self.format, self.table = format, table
        self.root = Node("")
        self._sources: dict[str, str] = {}
        self._openers: dict[str, list[str]] = {}
        self._elements_of: dict[str, list[str]] = {}
        self._members = _members_of(table, format.route)
        self._vocabularies = {
            name: {steps.folded(word): value for word, value in words.items()}
            for name, words in format.vocabularies.items()
        }
        self._placeholders = frozenset(format.placeholders)
        self._language = steps.language(format.language_aliases)
        for path, entries in format.elements.items():
            self._compile(path, entries)
        self.root.settle()
        self._sources = _routed(self._sources, format.route) | self._sources
        self._route_of = {
            target: route.source
            for route in format.route
            for target in (*route.to.values(), route.otherwise)
        }

    def element_path(self, path: str, opener: int = 0, further: int = 0) -> str | None:
        """Return the source path of a canonical path, item numbers 1-based as in XPath.

        ``applicants[1].countryCode`` becomes ``TradeMark/ApplicantDetails/Applicant[2]/…``;
        ``None`` when no source element fills the field (a derived value). Items of a routed list
        have no number, nor have those that several elements open or that stand in items of
        another list: theirs counts among those of one list, the office's among its own.

        Args:
            path: of a field, or of a member of an item.
            opener: which of the elements that open items of the list opened this one.
            further: which of the elements that may fill the field did, counted from 1, if not
                the first of those in such an item.
        """
        plain = _INDEX.sub("", path)
        if further:
            source = self._further(plain, further)
        else:
            source = self._opened_by(plain, opener) if opener else self._sources.get(plain)
        if source is None:
            return None
        for match in reversed(list(_INDEX.finditer(path))):
            name = _INDEX.sub("", path[: match.start()])
            first = self._sources.get(f"{name}[]")
            if first and source.startswith(first) and self._counts_alone(name):
                source = f"{first}[{int(match.group(1)) + 1}]{source[len(first) :]}"
        record = self.format.record
        return f"{record if isinstance(record, str) else record[0]}/{source}"

    def _further(self, path: str, number: int) -> str | None:
        elements = self._elements_of.get(self._before_routes(path), ())
        return elements[number - 1] if number <= len(elements) else None

    def _before_routes(self, path: str) -> str:
        head, dot, rest = path.partition(".")
        return f"{self._route_of.get(head, head)}{dot}{rest}"

    def _opened_by(self, path: str, opener: int) -> str | None:
        """Return where a member stands in items that another than the first element opened."""
        path = self._before_routes(path)
        name = path
        while name and name not in self._openers:
            name = name.rpartition(".")[0]
        if not name:
            return None
        place = self._openers[name][opener]
        return next(
            (
                source
                for source, entries in self.format.elements.items()
                if f"{source}/".startswith(f"{place}/")
                and any(entry.field == path for entry in entries)
            ),
            place if path == name else None,
        )

    def _counts_alone(self, name: str) -> bool:
        """Tell whether an item's number is that of its element among those of its name."""
        place, *others = self._openers[name]
        around, elsewhere = set[str](), set[str]()
        for item, openers in self._openers.items():
            (around if name.startswith(f"{item}.") else elsewhere).update(openers)
        return not others and not any(place.startswith(f"{above}/") for above in elsewhere - around)

    def derivation(self, entry: Derivation) -> Derive:
        """Return what fills a field that no element carries.

        Raises:
            ConfigurationError: the table has no such field, or the format no such vocabulary.
        """
        member = self._member(entry.field, "derive")
        if entry.latest is not None:
            items = (entry.source or "").partition(".")[0]
            self._member(f"{items}.{entry.latest}", "derive")
        words = self._vocabulary(entry.vocabulary) if entry.vocabulary else None
        return derivation(entry, words, is_date=member.type == "date")

    def _compile(self, path: str, entries: tuple[Entry, ...]) -> None:
        parts = path.split("/")
        attribute = parts.pop()[1:] if parts[-1].startswith("@") else None
        node = around = self.root
        opened, outside = [""], 1
        for position, name in enumerate(parts):
            around, node, outside = node, node.child(name), len(opened)
            above = self.format.elements.get("/".join(parts[: position + 1]), ())
            opened += [entry.item for entry in above if entry.item]
        setters = node.setters
        if attribute:
            setters = []
            node.attributes.append((attribute, setters))
        for entry in entries:
            node.ignore |= entry.ignore
            if entry.withholds:
                around.withholding[parts[-1]] = frozenset(entry.withholds)
            if entry.item:
                self._compile_item(entry, node, opened[:outside])
            if entry.expects:
                setters.append(self._compile_expectation(entry, path))
            for part in entry.parts:
                node.child(part).ignore = True
            node.parts |= entry.parts
            if entry.field:
                setters.append(self._compile_field(entry, path, opened))
                if not entry.parts:
                    self._sources.setdefault(entry.field, path)

    def _compile_expectation(self, entry: Entry, path: str) -> tuple[int, Setter]:
        about = entry.of or ""
        self._member(about, path)
        words = frozenset(map(steps.folded, entry.expects))
        return 0, setters.expecting(words, entry.issue or UNMAPPED, about)

    def _compile_item(self, entry: Entry, node: Node, opened: list[str]) -> None:
        assert entry.item is not None  # noqa: S101 narrowed by the caller
        self._member(entry.item, node.path)
        while node.item is not None:
            node = node.within or node.once_more()
        parent, _, node.item = entry.item.rpartition(".")
        if parent not in opened:
            raise ConfigurationError(f"{self._place(node.path)}: no element above opens {parent!r}")
        node.item_depth = opened.index(parent)
        node.constants = dict(entry.set)
        self._sources.setdefault(f"{entry.item}[]", node.path)
        self._sources.setdefault(entry.item, node.path)
        openers = self._openers.setdefault(entry.item, [])
        if node.path not in openers:
            openers.append(node.path)
        node.opener = openers.index(node.path)

    def _compile_field(self, entry: Entry, path: str, opened: list[str]) -> tuple[int, Setter]:
        assert entry.field is not None  # noqa: S101 narrowed by the caller
        member = self._member(entry.field, path)
        depth = max(
            i for i, item in enumerate(opened) if not item or entry.field.startswith(f"{item}.")
        )
        relative = entry.field.removeprefix(f"{opened[depth]}.")
        if entry.further and not depth:
            raise ConfigurationError(f"{self._place(path)}: no item to begin a further one after")
        struct, _, name = relative.rpartition(".")
        setter = self._leaf(entry, member, name)
        if entry.step == "months":
            setter = setters.in_months(setter)
        elements = self._elements_of.setdefault(entry.field, [])
        elements.append(path)
        if path != self._first_of(entry.field, path):
            setter = setters.further_element(name, len(elements), setter)
        if entry.waits or entry.waits_with:
            words = frozenset(map(steps.folded, entry.waits))
            setter = setters.waiting(name, setter, words, entry.waits_with)
        if entry.of_first:
            setter = setters.of_first(name, setter, entry.of_first)
        if not struct:
            return depth, setter
        if self._member(entry.field.rpartition(".")[0], path).type != "struct" or "." in struct:
            raise ConfigurationError(
                f"{self._place(path)}: no element above opens the list of {entry.field!r}"
            )
        return depth, setters.into_struct(struct, setter)

    def _first_of(self, field: str, path: str) -> str | None:
        """Return the first element that fills a field, in items that ``path`` stands in."""
        above = [
            f"{place}/"
            for item, places in self._openers.items()
            for place in places
            if field.startswith(f"{item}.") and f"{path}/".startswith(f"{place}/")
        ]
        around = max(above, key=len, default="")
        for source, entries in self.format.elements.items():
            if f"{source}/".startswith(around) and any(
                entry.field == field and not entry.parts for entry in entries
            ):
                return source
        return None

    def _leaf(self, entry: Entry, member: Member, name: str) -> Setter:
        if member.type == "texts":
            return setters.localised(
                name, self._language, self._placeholders, report_duplicates=name == "names"
            )
        step = self._step(entry, member)
        if member.type == "strings":
            is_text = name == "addressLines"  # of codes, a second one says nothing new
            return setters.appending(name, step, self._placeholders, report_duplicates=is_text)
        keep = self._keeper(entry.keeps, name) if entry.keeps else None
        return setters.assigning(name, step, self._placeholders, further=entry.further, keep=keep)

    def _keeper(self, field: str, path: str) -> Setter:
        self._member(field, path)
        name = field.rpartition(".")[2]
        return setters.waiting(name, setters.assigning(name, None, frozenset()), ANY, None)

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
