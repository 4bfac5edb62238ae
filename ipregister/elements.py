"""The part of lxml's elements that reading a record needs, and how elements are named."""

from typing import Any, Protocol

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


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

    def __getitem__(self, children: Any, /) -> Any:
        """Return a list of children for a slice (which lxml's stubs do not know)."""

    def __len__(self) -> int: ...

    def getparent(self) -> Any:
        """Return the element around this one."""

    def itersiblings(self, tag: Any, /, *, preceding: bool) -> Any:
        """Return the elements of a name before this one, the nearest first."""


def local_name(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


def language_of(element: Element) -> str | None:
    """Return the language an element says its text is in, in the standard's way or in XML's own."""
    value = attribute(element, "languageCode")
    return element.get(_XML_LANG) if value is None else value


def attribute(element: Element, name: str) -> str | None:
    """Return an attribute by local name: plain in ST.66 and ST.86, namespaced in ST.96."""
    value = element.get(name)
    if value is None:
        for key in element.keys():  # noqa: SIM118 an element is not a mapping
            if key.endswith(f"}}{name}"):
                return element.get(key)
    return value
