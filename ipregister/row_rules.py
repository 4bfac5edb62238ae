"""Row rules: which records of a right an office shares, told by what is core about a record.

A rule looks at publication, dates and kinds only. All of these are of class ``core``, so
being inside a rule tells nothing of the classes a reader may not see. What a rule does not
find it leaves out: a record without a filing date is outside every rule on filing dates.
How rules are written by people is ``authorization_forms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at in one record; ``kind`` is the kind of mark or the ST.16 code."""

    applicationDate: date | None = None
    registrationDate: date | None = None
    publicationDate: date | None = None
    published: bool = False
    rightKind: str | None = None
    kind: str | None = None
    filingRoute: str | None = None


@dataclass(frozen=True, slots=True)
class RowRule:
    """Conditions that must all hold; ``None`` and empty ask nothing, dates include both ends.

    ``publicationDate…`` is about the first publication. A kind code of one letter stands for
    all that begin with it: ``B`` for ``B1`` and ``B2``.
    """

    publishedOnly: bool = False
    applicationDateFrom: date | None = None
    applicationDateTo: date | None = None
    registrationDateFrom: date | None = None
    registrationDateTo: date | None = None
    publicationDateFrom: date | None = None
    publicationDateTo: date | None = None
    rightKinds: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    filingRoutes: tuple[str, ...] = ()

    def includes(self, facts: Facts) -> bool:
        """Tell whether a record with these facts is shared."""
        return (
            (facts.published or not self.publishedOnly)
            and _within(facts.applicationDate, self.applicationDateFrom, self.applicationDateTo)
            and _within(facts.registrationDate, self.registrationDateFrom, self.registrationDateTo)
            and _within(facts.publicationDate, self.publicationDateFrom, self.publicationDateTo)
            and (not self.rightKinds or facts.rightKind in self.rightKinds)
            and (not self.filingRoutes or facts.filingRoute in self.filingRoutes)
            and (not self.kinds or facts.kind in self.kinds or (facts.kind or "")[:1] in self.kinds)
        )

    def document(self) -> dict[str, Any]:
        """Return the JSON form: what the rule asks, in a fixed order, and nothing else."""
        said: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, date):
                said[field.name] = value.isoformat()
            elif value:
                said[field.name] = list(value) if isinstance(value, tuple) else value
        return said


DATES = tuple(field.name for field in fields(RowRule) if "Date" in field.name)
LISTS = ("rightKinds", "kinds", "filingRoutes")


def read_row_rule(document: Mapping[str, Any]) -> RowRule | None:
    """Read what ``RowRule.document`` made; no rule when nothing is asked.

    A member this program does not know is an error: a rule read without it shares more.
    """
    said: dict[str, Any] = {
        name: date.fromisoformat(value)
        if name in DATES
        else tuple(value)
        if name in LISTS
        else value
        for name, value in document.items()
    }
    rule = RowRule(**said)
    return None if rule == RowRule() else rule


def _within(day: date | None, first: date | None, last: date | None) -> bool:
    if first is None and last is None:
        return True
    if day is None:
        return False
    return (first is None or day >= first) and (last is None or day <= last)
