"""Fields of a right as SQL that tells whether a record holds a value in them.

A field is one of the record's own or, in lists, one of the members of their items. What their
values tell before and after a delivery is ``field_fills``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ipregister.model import Member, Right, load_tables

OURS = frozenset({"recordId", "officeCode", "right", "st13"})
"""Fields the hub fills itself; ``st13`` follows from the number."""


@dataclass(frozen=True, slots=True)
class FieldSql:
    """A field or a member of a list's items: its name, and SQL that tells if it has a value.

    ``scalar`` is SQL of the value itself, as text, of the fields that are compared by value.
    """

    name: str
    filled: str
    disclosure: str
    scalar: str | None = None

    @property
    def top(self) -> str:
        """Return the field it is, or the list it is a member of."""
        return self.name.partition(".")[0]


@cache
def fields_of(right: Right) -> tuple[FieldSql, ...]:
    """Return the fields of a right in the order of its table, without those the hub fills."""
    return tuple(
        field
        for top in load_tables()[right].fields
        if top.name not in OURS
        for field in _of(top, str(top.disclosure))
    )


def _of(top: Member, disclosure: str) -> Iterator[FieldSql]:
    column = f'"{top.name}"'
    scalar = None
    if top.type == "date" or top.name == "status":
        scalar = f"{column}::VARCHAR"
    yield FieldSql(top.name, _filled(top, column), disclosure, scalar)
    if top.type == "list":
        for member in top.fields:
            inner = _filled(member, f'item."{member.name}"')
            some = f"coalesce(len(list_filter({column}, lambda item: {inner})) > 0, FALSE)"
            yield FieldSql(f"{top.name}.{member.name}", some, disclosure)


def _filled(member: Member, column: str) -> str:
    if member.type in ("list", "strings", "texts"):
        return f"coalesce(len({column}) > 0, FALSE)"
    return f"({column} IS NOT NULL)"


def columns_of(fields: Sequence[FieldSql]) -> str:
    """Return the columns of ``before`` and ``after``: is there a value, and which, where named."""
    return ", ".join(
        [f'{field.filled} AS "{field.name}"' for field in fields]
        + [f'{field.scalar} AS "={field.name}"' for field in fields if field.scalar]
    )
