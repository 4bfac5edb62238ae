"""Why a delivery waits: the document that a person decides by, and its sentences.

Plain words, no advice that only an engineer could follow. When a delivery is held is
``guards``; who decides, and what becomes of it, is the ledger's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ipregister.report_words import count_of


class HoldCode(StrEnum):
    """The kinds of hold; the first that applies names the hold, so strongest first."""

    WRONG_OFFICE = "wrong_office"
    DECLARED_COUNT = "declared_count"
    ID_CHURN = "id_churn"
    OLD_FILE = "old_file"
    ALL_VANISH = "all_vanish"
    UNREADABLE_RECORDS = "unreadable_records"
    MASS_VANISH = "mass_vanish"
    ROLLING_VANISH = "rolling_vanish"
    FIELD_EMPTIED = "field_emptied"
    ONE_VALUE = "one_value"
    MASS_CHANGE = "mass_change"
    GUARD_FAILED = "guard_failed"
    PROCESSING_FAILED = "processing_failed"


PURGES = frozenset({HoldCode.ALL_VANISH, HoldCode.MASS_VANISH, HoldCode.ROLLING_VANISH})
"""What an announced purge excuses: records that disappear, and nothing else."""

OURS = frozenset({HoldCode.GUARD_FAILED, HoldCode.PROCESSING_FAILED})
"""Holds that are the hub's own fault; nothing was measured."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason to hold: its code, what is the matter, and what to look at."""

    code: HoldCode
    because: str
    suggestion: str


@dataclass(frozen=True, slots=True)
class DroppedField:
    """A field that lost its values; shares of the records both have, 0 to 1."""

    field: str
    before: float
    after: float

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"field": self.field, "from": round(self.before, 4), "to": round(self.after, 4)}


@dataclass(frozen=True, slots=True)
class Respelling:
    """One record under its old and its new number."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class IdChurn:
    """Records that would be lost under one number and come back under another spelling."""

    records: int
    of: int
    examples: tuple[Respelling, ...]


@dataclass(frozen=True, slots=True)
class Year:
    """Records of one year of application: what the register has, what would disappear."""

    year: int | None
    had: int
    wouldDisappear: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a delivery waits for the office, in numbers a person can check.

    ``shareChanged`` is the share of the register's records the delivery would change or
    remove, ``samples`` are numbers of records that would disappear.
    """

    troubles: tuple[Trouble, ...]
    had: int = 0
    inThisFile: int = 0
    wouldDisappear: int = 0
    shareChanged: float | None = None
    droppedFields: tuple[DroppedField, ...] = ()
    idChurn: IdChurn | None = None
    samples: tuple[str, ...] = ()
    years: tuple[Year, ...] = ()
    note: str | None = None

    @property
    def code(self) -> HoldCode:
        """Return the strongest reason's code."""
        return self.troubles[0].code

    @property
    def is_purge(self) -> bool:
        """Tell whether nothing is the matter but records that disappear."""
        return all(trouble.code in PURGES for trouble in self.troubles)

    @property
    def because(self) -> str:
        """Return what is the matter, and what to look at."""
        return f"{self._matter}. {self.troubles[0].suggestion}"

    @property
    def reason(self) -> str:
        """Return the sentences the office reads."""
        numbers = (
            None
            if self.code in OURS
            else (
                f"You had {count_of(self.had, 'record')}, this delivery has {self.inThisFile:,}, "
                f"{self.wouldDisappear:,} would disappear."
            )
        )
        told = [f"Held: {self._matter}.", numbers, self.note, self.troubles[0].suggestion]
        return " ".join(part for part in told if part)

    @property
    def _matter(self) -> str:
        return "; ".join(trouble.because for trouble in self.troubles)

    def explained(self, samples: Sequence[str], years: Sequence[Year]) -> "Hold":
        """Return the hold with what would disappear shown."""
        return replace(self, samples=tuple(samples), years=tuple(years))

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "code": str(self.code),
            "codes": [str(trouble.code) for trouble in self.troubles],
            "reason": self.reason,
            "had": self.had,
            "inThisFile": self.inThisFile,
            "wouldDisappear": self.wouldDisappear,
            "shareChanged": None if self.shareChanged is None else round(self.shareChanged, 4),
            "droppedFields": [field.document() for field in self.droppedFields],
            "idChurn": None if self.idChurn is None else _plain(asdict(self.idChurn)),
            "samples": list(self.samples),
            "years": [asdict(year) for year in self.years],
            "suggestion": self.troubles[0].suggestion,
        }


def _plain(churn: Mapping[str, Any]) -> dict[str, Any]:
    return dict(churn) | {"examples": list(churn["examples"])}


def failed(code: HoldCode, because: str) -> Hold:
    """Return the hold of a delivery that we could not judge; the hub's operators must look."""
    suggestion = (
        "This is a fault of the hub, not of your file: its operators look at it. Your file is "
        "safe and what you had before stays visible."
    )
    return Hold((Trouble(code, because, suggestion),))


ESCALATES_AFTER = (timedelta(days=3), timedelta(days=10), timedelta(days=30))
"""Source: the mails of the office portal (at once, after 3 and 10 days), and G-10 (30 days)."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """How long a held delivery waits: whole days, and the level 0 to 3 that follows."""

    level: int
    days: int

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"inWords": self.in_words}

    @property
    def in_words(self) -> str:
        """Return what the level means; a held delivery is never released by waiting."""
        waits = f"It has waited {self.days} {'day' if self.days == 1 else 'days'}"
        return (
            f"{waits} for your decision.",
            f"{waits}: please decide.",
            f"{waits}: your coordinator should know.",
            f"{waits}: what third parties read grows old; coordinator and operators must act.",
        )[self.level]


def escalation(held_at: datetime, at: datetime) -> Escalation:
    """Return how urgent a hold is at an instant."""
    waited = max(at - held_at, timedelta())
    return Escalation(sum(waited >= limit for limit in ESCALATES_AFTER), waited.days)
