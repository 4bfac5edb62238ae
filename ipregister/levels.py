"""The objects of a row that are open while one record is read: the row itself, and items in it.

What one element does with them is ``record_tree``.
"""

from typing import Any

Row = dict[str, Any]
"""A canonical row or one of its nested objects: absent means unknown, never ``None``."""

OPENER = "@"
"""Where the lines of an item say which element opened it, if not the list's first one.

Before a member's name: which element filled it, if not the first that may; of texts, of which."""

PASSED = "#"
"""Where they say how many elements before this one were empty, and are no items."""

ROUTED = -1
"""Says so where the last element that opens items of the pseudo list did."""


class Level:
    """One open object of the row: its values and their lines."""

    __slots__ = ("around", "is_item", "lines", "name", "parent", "row", "told")

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
        self.told: dict[str, tuple[dict[str, Any], int]] | None = None

    def has_been_told(self, name: str, item: Row, by: "Level") -> bool:
        """Tell whether the list ``name`` has this item from elsewhere than the open object ``by``.

        Each design of an application repeats what is the application's: its priorities, its
        designers. What one object says twice itself stands twice.
        """
        known = self.row.get(name, [])
        self.told = told = self.told or {}
        if by is self:
            return name in told and item in known
        last, before = told.get(name, (None, 0))
        # Its lines stand for the object: a level in here would be part of a cycle, and the whole
        # record would stay in memory until somebody looks for cycles.
        if last is not by.lines:
            before = len(known)
            told[name] = by.lines, before
        return bool(before) and item in known[:before]

    def begin_further(self) -> None:
        """Close this item as it is; what follows is said of a further one that is like it."""
        assert self.parent is not None  # noqa: S101 compiling found the item
        self.parent.row.setdefault(self.name, []).append(self.row.copy())
        self.parent.lines.setdefault(self.name, []).append(self.lines.copy())

    def outwards(self, steps: int) -> "Level":
        """Return the open object so many steps around this one."""
        level = self
        for _ in range(steps):
            assert level.around is not None  # noqa: S101 compiling counted the open objects
            level = level.around
        return level

    @property
    def prefix(self) -> str:
        """Return the canonical path of the object, with a dot at its end."""
        if self.parent is None:
            return ""
        # Counted when asked for: few values have an issue.
        index = f"[{len(self.parent.row.get(self.name, ()))}]" if self.is_item else ""
        return f"{self.parent.prefix}{self.name}{index}."
