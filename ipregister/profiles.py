"""How one office writes its records: profiles and formats, read from ``offices/**/*.yaml``.

A format is what several offices share (the IPAS trademark dialect of ST.66, ST.96); a
profile names the formats of one office and what it does differently. A profile is merged
over its format key by key, so an office file shows only its own ways. Nothing in YAML is
executed; how entries are applied to a record is ``mapping``.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ipregister import strict_yaml
from ipregister.deliveries import Kind
from ipregister.errors import ConfigurationError
from ipregister.guard_limits import GuardLimits
from ipregister.model import Right
from ipregister.quality import Severity

Step = Literal[
    "text",
    "date",
    "integer",
    "months",
    "boolean",
    "unlessNo",
    "language",
    "country",
    "nice",
    "vienna",
    "locarno",
    "ipc",
    "ipcVersion",
    "cpc",
    "verbatim",
]

QUIET_SECONDS = {Kind.FULL_EXTRACTION: 5, Kind.UPDATE: 2, Kind.TEST: 2}
"""``DeliveryHabits.quiet_seconds`` where an office says nothing of its own."""

ElementName = Annotated[str, Field(pattern=r"^[^/@:]+$")]
"""Of an element wherever it stands: a path or a prefix would be a name no element has."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Entry(_Strict):
    """What one source element (or attribute) becomes.

    ``field`` is a canonical path whose lists were opened by an ``item`` entry on an
    ancestor or on this element; ``set`` gives constants to the item it opens. ``withholds``
    names elements beside this one (``*``: all) that are not read when this one has a text but
    no, or elements of its own: what the office itself does not publish. ``parts`` are the
    elements inside that make up this one's text together, each with what stands before it.
    ``further`` lets a second value of an item begin another item that is like it in all else.
    ``keeps`` is the field that takes a word outside the vocabulary as it is, where nothing else
    has given that field.
    ``waits`` are words (``*``: all) that count only where nothing else has given the value before
    the end of the record; ``waits_with`` is the value that must wait for this one to.
    ``of_first`` is for a value of the record that several of its items have each: the first item
    that gives the field named here gives this one as well, and no other is compared with it.
    ``expects`` are the words another value is read by: a different one is noted as ``issue``
    about ``of``, and kept nowhere.
    """

    field: str | None = None
    item: str | None = None
    set: dict[str, str] = Field(default_factory=dict)
    step: Step | None = Field(default=None, alias="as")
    vocabulary: str | None = None
    unmapped: str | None = None
    keeps: str | None = None
    issue: str | None = None
    ignore: bool = False
    withholds: tuple[str, ...] = ()
    parts: dict[str, str] = Field(default_factory=dict)
    further: bool = False
    waits: tuple[str, ...] = ()
    waits_with: str | None = Field(default=None, alias="waitsWith")
    of_first: str | None = Field(default=None, alias="ofFirst")
    expects: tuple[str, ...] = ()
    of: str | None = None


class Derivation(_Strict):
    """A value taken from another one, where the record has none of its own.

    ``from`` is a header, a field, a member of an object, or of a list's items
    (``statusEvents.date``), of which the first counts that ``where`` and ``pattern`` accept; with
    ``latest``, a date of the items, they are looked at from the last one backwards. ``when`` asks
    for values of the record. A pattern sees ``applicationNumber`` in capitals, without spaces.
    """

    field: str
    source: str | None = Field(default=None, alias="from")
    pattern: str | None = None
    value: str | None = None
    vocabulary: str | None = None
    when: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    latest: str | None = None
    force: bool = False


class Route(_Strict):
    """A pseudo list whose items go to one of several lists by the value of a member.

    ``unless_same`` is a member that says who or what an item is: it does not go to a list that
    has one already which is the same in it, and in all else it says.
    """

    source: str = Field(alias="from")
    by: str = ""
    to: dict[str, str] = Field(default_factory=dict)
    otherwise: str
    unless_same: str | None = Field(default=None, alias="unlessSame")


class Removal(_Strict):
    """How a record says that it is to be deleted.

    ``from`` is an attribute of the record element (``@operationCode``), a header or a field;
    ``words`` are compared without case and white space.
    """

    source: str = Field(alias="from")
    words: tuple[str, ...] = Field(min_length=1)


class NumberPattern(_Strict):
    """How an ST.13 number is made: groups ``serial`` and, where the number has it, ``year``."""

    pattern: str
    type: str = Field(pattern=r"^[0-9]{2}$")


class Format(_Strict):
    """A record format, complete or merged with one office's ways.

    ``beside`` are elements outside the records that say nothing of them: of the transmission.
    """

    format: str
    reader: Literal["xml"]
    right: Right
    record: ElementName | tuple[ElementName, ...]
    envelope: ElementName | None = None
    header: dict[ElementName, str] = Field(default_factory=dict)
    beside: tuple[ElementName, ...] = ()
    placeholders: tuple[str, ...] = ()
    elements: dict[str, tuple[Entry, ...]]
    vocabularies: dict[str, dict[str, str]] = Field(default_factory=dict)
    route: tuple[Route, ...] = ()
    derive: tuple[Derivation, ...] = ()
    removal: tuple[Removal, ...] = ()
    language_aliases: dict[str, str] = Field(default_factory=dict, alias="languageAliases")
    number_shapes: tuple[str, ...] = Field(default=(), alias="numberShapes")
    st13: tuple[NumberPattern, ...] = ()
    guards: GuardLimits = GuardLimits()

    @cached_property
    def known_beside(self) -> frozenset[str]:
        """Return the elements outside the records that need not be told."""
        return frozenset(self.beside).union(self.header)


class DeliveryHabits(_Strict):
    """How an office's files belong together.

    ``quiet_seconds`` is how long a group of files must have been unchanged before it counts
    as complete; ``group`` a regular expression over file names with the named groups
    ``date`` (YYYYMMDD) and, where several extractions share a date, ``label``.
    """

    quiet_seconds: Annotated[dict[Kind, int], AfterValidator(lambda own: QUIET_SECONDS | own)] = (
        Field(default=QUIET_SECONDS, alias="quietSeconds")
    )
    group: re.Pattern[str] | None = None


class Override(_Strict):
    """One office's severity for a rule; ``reason`` and ``owner`` appear in its report."""

    severity: Severity | Literal["off"]
    reason: str = Field(min_length=10)
    owner: str


class Profile(_Strict):
    """One office: what it sends and how it writes it.

    ``utcOffset`` is how far its clocks are ahead of UTC (``"+07:00"``), the whole year round.
    """

    office: str = Field(pattern=r"^[A-Z]{2}$")
    name: str
    languages: tuple[str, ...]
    utcOffset: timedelta = timedelta()
    delivery: DeliveryHabits = DeliveryHabits()
    rights: dict[Right, Format]
    rules: dict[str, Override] = Field(default_factory=dict)

    def day_of(self, at: datetime) -> date:
        """Return the office's day at an instant: a date is later than today only after it."""
        return (at.astimezone(UTC) + self.utcOffset).date()

    def start_of(self, day: date) -> datetime:
        """Return the instant at which a day of the office begins."""
        return datetime.combine(day, time(), UTC) - self.utcOffset

    def format_of(self, right: Right) -> Format:
        """Return the format in which the office sends one right.

        Raises:
            ConfigurationError: the office has no format for this right.
        """
        try:
            return self.rights[right]
        except KeyError:
            raise ConfigurationError(
                f"office {self.office} has no format for {right}; add one to its profile",
                office=self.office,
                right=right,
            ) from None


def _load(*path: str) -> dict[str, Any]:
    source = files("offices").joinpath(*path)
    if not source.is_file():
        raise ConfigurationError(f"offices/{'/'.join(path)} does not exist")
    try:
        document: dict[str, Any] = strict_yaml.load(source.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"offices/{'/'.join(path)}: {exc}") from exc
    if not isinstance(document, dict):
        raise ConfigurationError(f"offices/{'/'.join(path)}: it has no keys, such as office: KH")
    return document


def _merge(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return a format with one office's ways laid over it."""
    merged = dict(shared)
    for key, value in own.items():
        if key == "vocabularies":
            words = dict(shared.get(key, {}))
            merged[key] = words | {
                name: words.get(name, {}) | entries for name, entries in value.items()
            }
        elif key in ("elements", "header", "languageAliases"):
            merged[key] = {**shared.get(key, {}), **value}
        elif key in ("beside", "derive", "placeholders", "removal"):
            merged[key] = [*value, *shared.get(key, [])]
        else:
            merged[key] = value
    merged["elements"] = {
        path: entries if isinstance(entries, list) else [entries]
        for path, entries in merged["elements"].items()
    }
    return merged


@cache
def load_profile(office: str) -> Profile:
    """Return the profile of one office by its ST.3 code.

    Raises:
        ConfigurationError: there is no such profile, or it is not valid.
    """
    document = _load(f"{office.lower()}.yaml")
    try:
        document["rights"] = {
            right: _merge(_load("formats", f"{own['format']}.yaml"), own)
            for right, own in document["rights"].items()
        }
        profile = Profile.model_validate(document)
    except KeyError as exc:
        raise ConfigurationError(f"offices/{office.lower()}.yaml: no {exc} is given") from exc
    except (ValidationError, AttributeError, TypeError) as exc:
        raise ConfigurationError(f"offices/{office.lower()}.yaml: {exc}") from exc
    if profile.office != office.upper():
        raise ConfigurationError(
            f"offices/{office.lower()}.yaml: it says that it is of {profile.office}"
        )
    return profile


@cache
def offices() -> tuple[str, ...]:
    """Return the ST.3 codes of every office that has a profile, in alphabetical order."""
    names = [entry.name for entry in files("offices").iterdir()]
    return tuple(
        sorted(name[:2].upper() for name in names if name.endswith(".yaml") and len(name) == 7)
    )
