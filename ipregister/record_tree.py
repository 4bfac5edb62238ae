"""The tree a format is compiled into, and the one walk that reads a record with it.

Nodes follow the source elements; a node's setters put its text into the canonical row.
Compiling YAML into this tree is ``format_tree``; putting a text into the row is ``setters``.

The walk needs of an element only ``tag``, ``text``, ``tail``, its attributes, ``sourceline`` and
its children as a slice, as ElementTree and lxml offer them. It runs once per element of every
record, some seventy times a record: what can be settled when a format is compiled is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]
"""A canonical row or one of its nested objects: absent means unknown, never ``None``."""

Unknown = dict[str, list[Any]]
"""What a format does not know: path below the record to ``[count, first line]``. Elements, and
``text()`` between elements: a name written into ``Applicant`` itself is not to vanish."""


class Element(Protocol):
    """The part of an XML element the walk uses."""

    @property
    def tag(self) -> Any:
        """The name, with its namespace in braces."""

    @property
    def text(self) -> str | None:
        """The text before the first child."""

    @property
    def tail(self) -> str | None:
        """The text behind the element, up to the next one."""

    def get(self, key: str, /) -> str | None:
        """Return an attribute by its name, with its namespace in braces."""

    def keys(self) -> Any:
        """Return the names of the attributes."""

    @property
    def sourceline(self) -> Any:
        """The line of the opening tag, from 1, where the parser knows it."""

    def itertext(self) -> Iterator[Any]:
        """Yield all text inside, in document order."""

    def __getitem__(self, children: Any, /) -> Any:
        """Return a list of children for a slice (which lxml's stubs do not know)."""

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

    __slots__ = ("around", "is_item", "lines", "name", "parent", "row")

    def __init__(
        self,
        row: Row,
        lines: dict[str, Any],
        parent: "Level | None" = None,
        name: str = "",
        is_item: bool = False,
        around: "Level | None" = None,
    ) -> None:
        """Open an object; an item will be the next one in the list ``name`` of ``parent``.

        ``around`` was the innermost open object before. It need not be the parent: an event
        may be told inside a publication.
        """
        self.row, self.lines = row, lines
        self.parent, self.name, self.is_item = parent, name, is_item
        self.around = around

    @property
    def prefix(self) -> str:
        """Return the canonical path of the object, with a dot at its end."""
        if self.parent is None:
            return ""
        # Counted when asked for: few values have an issue.
        index = f"[{len(self.parent.row.get(self.name, ()))}]" if self.is_item else ""
        return f"{self.parent.prefix}{self.name}{index}."


class Walk:
    """What one pass over one record collects beside its row: issues, unknown elements."""

    __slots__ = ("issues", "unknown")

    def __init__(self, unknown: Unknown) -> None:
        """Start without issues; ``unknown`` is shared by all records."""
        self.issues: list[Issue] = []
        self.unknown = unknown


_NO = frozenset({"", "false", "0", "no", "n"})

Setter = Callable[[Walk, Level, str, Element], None]
"""Takes the text of an element into an open object."""


class Node:
    """One element of the tree: what to do with its text and where its children lead.

    ``setters`` and ``attributes`` hold for each setter which open object receives the value
    (0: the row itself). ``settle`` makes of them what the walk uses: ``take``, which starts
    from the innermost open object, and ``leaf``, the same for elements that hold a text only.
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
        "outwards",
        "parts",
        "path",
        "setters",
        "take",
        "take_attributes",
        "withholding",
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
        self.parts: dict[str, str] = {}
        self.withholding: dict[str, frozenset[str]] = {}
        self.leaf: Setter | None = None
        self.is_wrapper = False
        self.outwards = 0
        self.take: Setter | None = None
        self.take_attributes: list[tuple[str, Setter]] = []

    def settle(self, depth: int = 0) -> None:
        """Prepare the walk; ``depth`` objects are open around the element beside the row."""
        if self.item is not None:
            self.outwards = depth - self.item_depth
            depth += 1
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
        setter(walk, _around(level, steps), text, element)

    return take


def _around(level: Level, steps: int) -> Level:
    for _ in range(steps):
        assert level.around is not None  # noqa: S101 compiling counted the open objects
        level = level.around
    return level


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


def read_record(walk: Walk, level: Level, record: Element, root: Node) -> None:
    """Read one record element, its own attributes included, into its row."""
    _take(walk, level, record, root)


def walk_element(walk: Walk, level: Level, element: Element, node: Node) -> None:
    """Read the children of one element into the innermost open object."""
    by_tag = node.by_tag
    if (node.take is None or node.parts) and (text := element.text) and not text.isspace():
        _note_unknown(walk, node, "text()", element)
    # lxml makes a list of all children in half the time of one after the other.
    children = element[:]
    if node.withholding:
        children = _published(children, node.withholding)
    for child in children:
        tag = child.tag
        try:
            target = by_tag[tag]
        except KeyError:
            target = by_tag[tag] = node.children.get(local_name(tag))
        if target is None:
            _note_unknown(walk, node, local_name(tag), child)
        elif (take := target.leaf) is not None:
            text = _inner_text(child) if len(child) else child.text
            if text and (text := text.strip()):
                take(walk, level, text, child)
        elif target.is_wrapper:
            walk_element(walk, level, child, target)
        elif target.item is not None:
            _open_item(walk, level, child, target, target.item)
        elif not target.ignore:
            _take(walk, level, child, target)
        if (tail := child.tail) and not tail.isspace():
            _note_unknown(walk, node, "text()", child)


def _published(children: list[Any], withholding: dict[str, frozenset[str]]) -> list[Any]:
    """Return the children but those that another one says are not open for publication."""
    hidden = {
        name
        for child in children
        for name in withholding.get(local_name(child.tag), ())
        if len(child) or (child.text or "").strip().casefold() not in _NO
    }
    if "*" in hidden:
        return []
    return [child for child in children if local_name(child.tag) not in hidden]


def _take(walk: Walk, level: Level, element: Element, node: Node) -> None:
    for name, take in node.take_attributes:
        value = attribute(element, name)
        if value and (value := value.strip()):
            take(walk, level, value, element)
    if node.take is not None:
        text = element.text if node.children or not len(element) else _inner_text(element)
        if node.parts:
            text = _joined(element, node.parts)
        if text and (text := text.strip()):
            node.take(walk, level, text, element)
    if node.children or (len(element) and not node.setters):
        walk_element(walk, level, element, node)


def _joined(element: Element, parts: dict[str, str]) -> str:
    """Return the texts of an element's parts as one, in the format's order."""
    texts = {local_name(child.tag): (child.text or "").strip() for child in element[:]}
    return "".join(f"{before}{texts[name]}" for name, before in parts.items() if texts.get(name))


def _inner_text(element: Element) -> str:
    """Return the text of an element that holds mark-up or parts nobody maps on their own."""
    return " ".join(" ".join(element.itertext()).split())


def _open_item(walk: Walk, level: Level, element: Element, node: Node, name: str) -> None:
    parent = _around(level, node.outwards) if node.outwards else level
    constants = node.constants
    item: Row = constants.copy()
    lines: dict[str, Any] = {"": element.sourceline}
    inside = Level(item, lines, parent, name, True, level)
    if node.take is not None or node.take_attributes:
        _take(walk, inside, element, node)
    else:
        walk_element(walk, inside, element, node)
    if len(item) > len(constants):
        if name in parent.row:
            parent.row[name].append(item)
            parent.lines[name].append(lines)
        else:
            parent.row[name], parent.lines[name] = [item], [lines]


def _note_unknown(walk: Walk, node: Node, name: str, where: Element) -> None:
    path = f"{node.path}/{name}".lstrip("/")
    walk.unknown.setdefault(path, [0, where.sourceline])[0] += 1
