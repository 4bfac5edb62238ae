"""Tables and fields of the register, read from ``tables/*.yaml``.

One table per right, one wide nested row per record. Every top-level field has exactly one
disclosure class and its members inherit it: data that two classes need is two fields. A
field nobody classified does not load. Physical types (Arrow, SQL) do not belong here.

Standards: INID codes of WIPO ST.9 (patents), ST.60 (trademarks) and ST.80 (designs); names
of WIPO ST.96, spelt as in ST.97 (lowerCamelCase).
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as PydanticField
from yaml import YAMLError

from ipregister import strict_yaml
from ipregister.errors import ConfigurationError


class Right(StrEnum):
    """The three rights of the hub, as they are spelt in paths and folders."""

    PATENTS = "patents"
    TRADEMARKS = "trademarks"
    DESIGNS = "designs"


class Disclosure(StrEnum):
    """Disclosure classes; an authorization withholds any of them but ``core``."""

    CORE = "core"
    STAKEHOLDER = "stakeholder"
    STATUS_CHANGE = "status_change"
    EXAMINATION = "examination"
    DOCUMENTS = "documents"


Type = Literal["string", "strings", "date", "integer", "boolean", "texts", "struct", "list"]
"""``strings`` is a list of strings; ``texts`` a list of ``{text, languageCode}``;
``struct`` one object and ``list`` a list of objects with the members in ``fields``."""


class Member(BaseModel):
    """One field, or one member of a nested field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = PydanticField(pattern=r"^[a-z][A-Za-z0-9]*$")
    type: Type
    description: str = PydanticField(min_length=10)
    inid: str | None = PydanticField(default=None, pattern=r"^[0-9]{2,3}$")
    st96: str | None = PydanticField(default=None, pattern=r"^(com|tmk|pat|dgn):[A-Z][A-Za-z0-9]*$")
    values: tuple[str, ...] = ()
    freeText: bool = False
    """Written by hand: it may carry names of persons whatever the field's class."""
    fields: "tuple[Member, ...]" = ()

    @model_validator(mode="after")
    def _nested_types_have_members(self) -> Self:
        if (self.type in ("struct", "list")) != bool(self.fields):
            raise ValueError(f"{self.name}: type {self.type} and members do not fit")
        if twice := _twice(self.fields):
            raise ValueError(f"{self.name}: members named twice: {twice}")
        return self


class Field(Member):
    """One top-level field: a member with a disclosure class."""

    disclosure: Disclosure


class Table(BaseModel):
    """The canonical table of one right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Right
    standard: str
    fields: tuple[Field, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if twice := _twice(self.fields):
            raise ValueError(f"{self.name}: fields named twice: {twice}")
        return self

    def __hash__(self) -> int:
        """Return the hash of the name: that of all members would take 0.5 ms at every look-up."""
        return hash(self.name)

    def field(self, name: str) -> Field:
        """Return the top-level field ``name``.

        Raises:
            ConfigurationError: the table has no such field.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise ConfigurationError(f"table {self.name} has no field {name!r}")

    def of_class(self, disclosure: Disclosure) -> tuple[Field, ...]:
        """Return the fields of one disclosure class, in table order."""
        return tuple(field for field in self.fields if field.disclosure is disclosure)

    def paths(self) -> Iterator[tuple[str, Member, Disclosure]]:
        """Yield every field and member: dotted path, member, disclosure class."""
        for field in self.fields:
            yield field.name, field, field.disclosure
            yield from _members(field, field.name, field.disclosure)


def _twice(members: Sequence[Member]) -> list[str]:
    names = [member.name for member in members]
    return sorted({name for name in names if names.count(name) > 1})


def _members(
    parent: Member, path: str, disclosure: Disclosure
) -> Iterator[tuple[str, Member, Disclosure]]:
    for member in parent.fields:
        yield f"{path}.{member.name}", member, disclosure
        yield from _members(member, f"{path}.{member.name}", disclosure)


@cache
def load_tables() -> dict[Right, Table]:
    """Return the three tables of the register.

    Raises:
        ConfigurationError: a file is not a valid table; the message names file and member.
    """
    tables = {}
    for right in Right:
        source = files("ipregister").joinpath("tables", f"{right}.yaml")
        try:
            tables[right] = Table.model_validate(strict_yaml.load(source.read_text("utf-8")))
        except (ValidationError, YAMLError) as exc:
            raise ConfigurationError(f"tables/{right}.yaml: {exc}") from exc
    return tables
