"""The tree a format is compiled into, and what one pass along it collects.

Nodes follow the source elements; a node's setters put its text into the canonical row.
Compiling YAML into this tree is ``format_tree``; putting a text into the row is ``setters``;
walking it with a record is ``record_walk``. What can be settled when a format is compiled is:
the walk runs once per element of every record.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from ipregister.elements import Element, language_of, local_name
from ipregister.levels import Level

Unknown = dict[str, list[Any]]
"""What a format does not know: path below the record to ``[count, first line]``. Elements,
``text()`` between elements: a name written into ``Applicant`` itself is not to vanish; and
``@name`` of elements without the text they should have."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One value the mapping could not take as it is.

    ``field`` is a canonical path with indexes (``applicants[0].countryCode``), ``value`` the
    verbatim text, ``suggested`` what it probably should be. ``source`` is the path of the element
    or attribute in which the text stands; ``None`` where it is not one.
    """

    code: str
    field: str
    value: str
    line: int | None
    suggested: str | None = None
    source: str | None = None


class Walk:
    """What one pass over one record collects beside its row.

    Issues, unknown elements, and what ``waiting`` says of single values where nothing else does.
    ``attribute`` is set while a setter takes one of an element: its name behind ``/@``;
    ``speaks`` once an element around others has said their language. ``passed`` counts, by object
    and list, the elements that became no item. ``firsts`` has the first of several elements that
    gave a value each, by its field.
    """

    __slots__ = (
        "_numbered",
        "_record",
        "_root",
        "attribute",
        "firsts",
        "issues",
        "passed",
        "speaks",
        "told",
        "unknown",
        "waiting",
    )

    def __init__(self, unknown: Unknown, record: Element, root: "Node") -> None:
        """Start without issues; ``unknown`` is shared by all records."""
        self.issues: list[Issue] = []
        self.told: set[tuple[str, str]] = set()
        self.unknown = unknown
        self.passed: dict[tuple[Level, str], int] = {}
        self.firsts: dict[str, Element] | None = None
        self.waiting: list[tuple[str, Setter, Level, str, Element]] = []
        self.attribute = ""
        self.speaks = False
        self._record, self._root = record, root
        self._numbered: dict[tuple[Any, str], tuple[Any, int]] = {}

    def settle(self) -> None:
        """Take what waited of the values nothing else has said."""
        for name, take, level, text, element in self.waiting:
            if name not in level.row:
                take(self, level, text, element)

    def language_around(self, element: Element) -> str | None:
        """Return the language the nearest element around one says it is in, below the record."""
        while (element := element.getparent()) is not self._record:
            if tag := language_of(element):
                return tag
        return None

    def source_of(self, element: Element) -> str:
        """Return the path of an element from the record on, items numbered as in XPath."""
        below = []
        while element is not self._record:
            below.append(element)
            element = element.getparent()
        node, path = self._root, local_name(element.tag)
        for each in reversed(below):
            name = local_name(each.tag)
            node = node.children[name]
            path += f"/{name}" if node.item is None else f"/{name}[{self._number(each)}]"
        return path + self.attribute

    def _number(self, element: Element) -> int:
        """Return which of its name an element is, counted from the one asked for before."""
        key = element.getparent(), element.tag
        known, number = self._numbered.get(key, (None, 0))
        if element is known:
            return number
        between = 1
        for sibling in element.itersiblings(element.tag, preceding=True):
            if sibling is known:
                break
            between += 1
        else:
            number = 0
        self._numbered[key] = element, number + between
        return number + between


Setter = Callable[[Walk, Level, str, Element], None]
"""Takes the text of an element into an open object."""


class Node:
    """One element of the tree: what to do with its text and where its children lead.

    ``setters`` and ``attributes`` hold for each setter which open object receives the value
    (0: the row itself). ``settle`` makes of them what the walk uses: ``take``, which starts
    from the innermost open object, and ``leaf``, the same for elements that hold a text only.
    ``opener`` says which of the elements that open items of its list it is, counted from 0;
    ``within`` is the same element once more, where it opens an item of another list as well.
    ``withholding`` has the children that say of others that they are not to be read, ``parts``
    those that are the text together, each with what stands before it.
    """

    __slots__ = (
        "attributes",
        "by_tag",
        "children",
        "constants",
        "ignore",
        "is_wrapper",
        "item",
        "item_depth",
        "leaf",
        "opener",
        "outwards",
        "parts",
        "path",
        "setters",
        "take",
        "take_attributes",
        "withholding",
        "within",
    )

    def __init__(self, path: str) -> None:
        """Start a node without meaning; ``path`` is relative to the record."""
        self.path = path
        self.children: dict[str, Node] = {}
        self.by_tag: dict[str, Node | None] = {}
        self.attributes: list[tuple[str, list[tuple[int, Setter]]]] = []
        self.setters: list[tuple[int, Setter]] = []
        self.item: str | None = None
        self.within: Node | None = None
        self.item_depth = 0
        self.opener = 0
        self.constants: dict[str, str] = {}
        self.ignore = False
        self.parts: dict[str, str] = {}
        self.withholding: dict[str, frozenset[str]] = {}
        self.leaf: Setter | None = None
        self.is_wrapper = False
        self.outwards = 0
        self.take: Setter | None = None
        self.take_attributes: list[tuple[str, Setter]] = []

    def settle(self, depth: int = 0, own: int = 0) -> None:
        """Prepare the walk; ``depth`` objects are open beside the row, ``own`` by the element."""
        if self.item is not None:
            self.outwards = depth - own - self.item_depth
            depth += 1
        if self.within is not None:
            self.within.settle(depth, own + 1)
            return
        self.take = _in_turn(self.setters, depth)
        self.take_attributes = [
            (name, take)
            for name, setters in self.attributes
            if (take := _in_turn(setters, depth)) is not None
        ]
        is_plain = not (self.attributes or self.item or self.ignore)
        if is_plain and not self.children:
            self.leaf = self.take
        self.is_wrapper = is_plain and not self.setters
        for child in self.children.values():
            child.settle(depth)

    def child(self, name: str) -> "Node":
        """Return the child of this name, made when missing."""
        if name not in self.children:
            self.children[name] = Node(f"{self.path}/{name}" if self.path else name)
        return self.children[name]

    def once_more(self) -> "Node":
        """Return this node again, for an item of another list that the element opens as well."""
        self.within = copy(self)
        self.within.item = None
        return self.within


def _in_turn(setters: list[tuple[int, Setter]], depth: int) -> Setter | None:
    """Return one setter for several, each for the object at its own depth; none for none."""
    inward = [_outwards(setter, depth - own) for own, setter in setters]
    if len(inward) <= 1:
        return inward[0] if inward else None

    def take(walk: Walk, level: Level, text: str, element: Element) -> None:
        for setter in inward:
            setter(walk, level, text, element)

    return take


def _outwards(setter: Setter, steps: int) -> Setter:
    """Return a setter for an object so many steps around the innermost open one."""
    if not steps:
        return setter

    def take(walk: Walk, level: Level, text: str, element: Element) -> None:
        setter(walk, level.outwards(steps), text, element)

    return take
