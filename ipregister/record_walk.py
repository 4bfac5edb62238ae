"""The one walk that reads a record along the tree of its format.

It runs once per element of every record, some seventy times a record. The tree is
``record_tree``.
"""

from collections.abc import Iterator
from typing import Any

from ipregister.elements import Element, attribute, language_of, local_name
from ipregister.levels import OPENER, PASSED, Level, Row
from ipregister.record_tree import Node, Walk

_NO = frozenset({"", "false", "0", "no", "n"})

_ABOUT = frozenset(
    {
        *("id", "sequenceNumber", "languageCode", "officeCode"),
        *("st96Version", "ipoVersion", "documentFileName"),
    }
)
"""Attributes of ST.66 and ST.96 that are about an element or the document, not the record."""
_OF_SCHEMAS = "{http://www.w3.org/"
"""Those of XML itself say nothing, either: xsi:nil, xml:space."""

_RAISED = frozenset({"sub", "sup"})
_IN_WORDS = _RAISED.union(
    ("b", "i", "u", "o", "s", "em", "strong", "smallcaps", "font", "span", "ins")
)
"""Markup that may stand within a word, of HTML, ST.36 and ST.96; any other one parts words."""

_NO_WORDS = {"del": ""} | dict.fromkeys(("img", "image", "pageimage", "documenturi"), " ")
"""What may stand in a text and is none of it, and what parts the words around it: what was
deleted, a picture's file and size, the address of a page."""


def read_record(walk: Walk, level: Level, record: Element, root: Node) -> None:
    """Read one record element, its own attributes included, into its row."""
    if record.keys():
        _note_attributes(walk, root, record)
    _take(walk, level, record, root)
    if walk.waiting:
        walk.settle()


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
            elif child.keys():
                _note_attributes(walk, target, child)
        elif not target.ignore:
            if child.keys():
                walk.speaks |= language_of(child) is not None
                _note_attributes(walk, target, child)
            if target.is_wrapper:
                walk_element(walk, level, child, target)
            elif target.item is not None:
                _open_item(walk, level, level, child, target, target.item)
            else:
                _take(walk, level, child, target)
        if (tail := child.tail) and not tail.isspace():
            _note_unknown(walk, node, "text()", child)


def _published(children: list[Any], withholding: dict[str, frozenset[str]]) -> list[Any]:
    """Return the children but those that another one says are not open for publication."""
    hidden = {
        name
        for child in children
        for name in withholding.get(local_name(child.tag), ())
        if len(child) or (child.text or "").strip().casefold() not in _NO or any(_values(child))
    }
    if "*" in hidden:
        return []
    return [child for child in children if local_name(child.tag) not in hidden]


def _take(walk: Walk, level: Level, element: Element, node: Node) -> None:
    for name, take in node.take_attributes:
        value = attribute(element, name)
        if value and (value := value.strip()):
            walk.attribute = f"/@{name}"
            take(walk, level, value, element)
            walk.attribute = ""
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
    texts: dict[str, list[str]] = {}
    for child in element[:]:
        text = _inner_text(child) if len(child) else child.text
        if text and (text := text.strip()):
            texts.setdefault(local_name(child.tag), []).append(text)
    return "".join(before + text for name, before in parts.items() for text in texts.get(name, ()))


def _inner_text(element: Element) -> str:
    """Return the text of an element that holds mark-up or parts nobody maps on their own."""
    return " ".join(_marked_text(element).split())


def _marked_text(element: Element) -> str:
    """Return all text inside: ``H<Sub>2</Sub>O`` is one word, ``tea<br/>rice`` two.

    Two marked words behind one another are two: the parser drops the blank between them.
    """
    text, follows_another = element.text or "", False
    for child in element[:]:
        name, tail = local_name(child.tag).lower(), child.tail or ""
        if name in _NO_WORDS:
            text += _NO_WORDS[name] + tail
            continue
        inside = _marked_text(child) if len(child) else child.text or ""
        if name not in _IN_WORDS:
            inside = f" {inside} "
        elif follows_another and name not in _RAISED:
            inside = f" {inside}"
        text += inside + tail
        follows_another = not tail
    return text


def _open_item(
    walk: Walk, level: Level, around: Level, element: Element, node: Node, name: str
) -> None:
    """Read an element in the object ``level`` into a new item.

    ``around`` is the innermost open object: ``level``, or another item the element opened.
    """
    parent = level.outwards(node.outwards) if node.outwards else level
    constants = node.constants
    item: Row = constants.copy()
    lines: dict[str, Any] = {"": element.sourceline}
    if node.opener:
        lines[OPENER] = node.opener
    inside = Level(item, lines, parent, name, True, around)
    if node.take is not None or node.take_attributes:
        _take(walk, inside, element, node)
    elif (within := node.within) is not None:
        _open_item(walk, level, inside, element, within, within.item or "")
    else:
        walk_element(walk, inside, element, node)
    if len(item) == len(constants) or (
        (node.outwards or parent.told) and parent.has_been_told(name, item, level)
    ):
        walk.passed[parent, name] = walk.passed.get((parent, name), 0) + 1
        return
    if walk.passed and (passed := walk.passed.get((parent, name))):
        lines[PASSED] = passed
    if name in parent.row:
        parent.row[name].append(item)
        parent.lines[name].append(lines)
    else:
        parent.row[name], parent.lines[name] = [item], [lines]


def _note_attributes(walk: Walk, node: Node, where: Element) -> None:
    """Note attributes the format does not know: one may hold what text or children should."""
    for name in _values(where):
        if all(name != known for known, _ in node.attributes):
            _note_unknown(walk, node, f"@{name}", where)


def _values(element: Element) -> Iterator[str]:
    """Yield the local names of attributes that may hold what the text should."""
    for name in element.keys():  # noqa: SIM118 an element is not a mapping
        if not name.startswith(_OF_SCHEMAS) and local_name(name) not in _ABOUT:
            yield local_name(name)


def _note_unknown(walk: Walk, node: Node, name: str, where: Element) -> None:
    path = f"{node.path}/{name}".lstrip("/")
    walk.unknown.setdefault(path, [0, where.sourceline])[0] += 1
