"""The tree a format is compiled into, and the one walk that reads a record with it.

Nodes follow the source elements; a node's setters put its text into the canonical row.
Compiling YAML into this tree is ``mapping``; putting a text into the row is ``setters``.

The walk needs of an element only ``tag``, ``text``, its attributes, ``sourceline`` and its
children, as ElementTree and lxml offer them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]
"""A canonical row or one of its nested objects: absent means unknown, never ``None``."""

Unknown = dict[str, list[Any]]
"""Elements a format does not know: path below the record to ``[count, first line]``."""


class Element(Protocol):
    """The part of an XML element the walk uses."""

    @property
    def tag(self) -> Any:
        """The name, with its namespace in braces."""

    @property
    def text(self) -> str | None:
        """The text before the first child."""

    def get(self, key: str, /) -> str | None:
        """Return an attribute by its name, with its namespace in braces."""

    def keys(self) -> Any:
        """Return the names of the attributes."""

    @property
    def sourceline(self) -> Any:
        """The line of the opening tag, from 1, where the parser knows it."""

    def itertext(self) -> Iterator[Any]:
        """Yield all text inside, in document order."""

    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Issue:
    """One value the mapping could not take as it is.

    ``field`` is a canonical path with indexes (``applicants[0].countryCode``), ``value`` the
    verbatim text, ``suggested`` what it probably should be.
    """

    code: str
    field: str
    value: str
    line: int | None
    suggested: str | None = None


class Level:
    """One open object of the row: its values and their lines."""

    __slots__ = ("is_item", "lines", "name", "parent", "row")

    def __init__(
        self,
        row: Row,
        lines: dict[str, Any],
        parent: "Level | None" = None,
        name: str = "",
        is_item: bool = False,
    ) -> None:
        """Open an object; an item will be the next one in the list ``name`` of ``parent``."""
        self.row, self.lines = row, lines
        self.parent, self.name, self.is_item = parent, name, is_item

    @property
    def prefix(self) -> str:
        """Return the canonical path of the object, with a dot at its end."""
        if self.parent is None:
            return ""
        # Counted when asked for: few values have an issue.
        index = f"[{len(self.parent.row.get(self.name, ()))}]" if self.is_item else ""
        return f"{self.parent.prefix}{self.name}{index}."


class Walk:
    """What one pass over one record collects: open objects, issues, unknown elements."""

    __slots__ = ("issues", "levels", "unknown")

    def __init__(self, row: Row, lines: dict[str, Any], unknown: Unknown) -> None:
        """Start with the row itself as the only open object."""
        self.levels = [Level(row, lines)]
        self.issues: list[Issue] = []
        self.unknown = unknown


Setter = Callable[[Walk, Level, str, Element], None]


class Node:
    """One element of the tree: what to do with its text and where its children lead.

    ``depth`` tells which open object receives the values (0: the row itself).
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
        "path",
        "setters",
    )

    def __init__(self, path: str) -> None:
        """Start a node without meaning; ``path`` is relative to the record."""
        self.path = path
        self.children: dict[str, Node] = {}
        self.by_tag: dict[str, Node | None] = {}
        self.attributes: list[tuple[str, list[tuple[int, Setter]]]] = []
        self.setters: list[tuple[int, Setter]] = []
        self.item: str | None = None
        self.item_depth = 0
        self.constants: dict[str, str] = {}
        self.ignore = False
        self.leaf: tuple[tuple[int, Setter], ...] | None = None
        self.is_wrapper = False

    def settle(self) -> None:
        """Mark leaves, which the walk reads without a call each, and mere wrappers."""
        is_plain = not (self.attributes or self.item or self.ignore)
        if is_plain and self.setters and not self.children:
            self.leaf = tuple(self.setters)
        self.is_wrapper = is_plain and not self.setters
        for child in self.children.values():
            child.settle()

    def child(self, name: str) -> "Node":
        """Return the child of this name, made when missing."""
        if name not in self.children:
            self.children[name] = Node(f"{self.path}/{name}" if self.path else name)
        return self.children[name]


def local_name(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


def attribute(element: Element, name: str) -> str | None:
    """Return an attribute by local name: plain in ST.66 and ST.86, namespaced in ST.96."""
    value = element.get(name)
    if value is None:
        for key in element.keys():  # noqa: SIM118 an element is not a mapping
            if key.endswith(f"}}{name}"):
                return element.get(key)
    return value


def read_record(walk: Walk, record: Element, root: Node) -> None:
    """Read one record element, its own attributes included, into the open objects."""
    _take(walk, record, root)


def walk_element(walk: Walk, element: Element, node: Node) -> None:
    """Read the children of one element into the open objects."""
    by_tag, levels = node.by_tag, walk.levels
    for child in element:
        tag = child.tag
        try:
            target = by_tag[tag]
        except KeyError:
            target = by_tag[tag] = node.children.get(local_name(tag))
        if target is None:
            _note_unknown(walk, node, child)
        elif target.leaf is not None:
            text = _inner_text(child) if len(child) else child.text
            if text and (text := text.strip()):
                for depth, setter in target.leaf:
                    setter(walk, levels[depth], text, child)
        elif target.is_wrapper:
            walk_element(walk, child, target)
        elif target.item is not None:
            _open_item(walk, child, target, target.item)
        elif not target.ignore:
            _take(walk, child, target)


def _take(walk: Walk, element: Element, node: Node) -> None:
    levels = walk.levels
    for name, setters in node.attributes:
        value = attribute(element, name)
        if value and (value := value.strip()):
            for depth, setter in setters:
                setter(walk, levels[depth], value, element)
    if node.setters:
        text = element.text if node.children or not len(element) else _inner_text(element)
        if text and (text := text.strip()):
            for depth, setter in node.setters:
                setter(walk, levels[depth], text, element)
    if node.children or (len(element) and not node.setters):
        walk_element(walk, element, node)


def _inner_text(element: Element) -> str:
    """Return the text of an element that holds mark-up or parts nobody maps on their own."""
    return " ".join(" ".join(element.itertext()).split())


def _open_item(walk: Walk, element: Element, node: Node, name: str) -> None:
    levels, constants = walk.levels, node.constants
    parent = levels[node.item_depth]
    item: Row = constants.copy()
    lines: dict[str, Any] = {"": element.sourceline}
    levels.append(Level(item, lines, parent, name, True))
    if node.setters or node.attributes:
        _take(walk, element, node)
    else:
        walk_element(walk, element, node)
    levels.pop()
    if len(item) > len(constants):
        if name in parent.row:
            parent.row[name].append(item)
            parent.lines[name].append(lines)
        else:
            parent.row[name], parent.lines[name] = [item], [lines]


def _note_unknown(walk: Walk, node: Node, child: Element) -> None:
    path = f"{node.path}/{local_name(child.tag)}".lstrip("/")
    walk.unknown.setdefault(path, [0, child.sourceline])[0] += 1
