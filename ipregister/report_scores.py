"""Scores of a delivery: which share of its records has nothing serious, per kind of rule.

A score is always given with its parts (``clean`` of ``records``). Which findings there are is
counted elsewhere; a score needs the delivery's receipt, because only that knows all records.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from ipregister.deliveries import Receipt
from ipregister.quality import Dimension, Severity

SERIOUS = frozenset({Severity.CRITICAL, Severity.ERROR})
"""A record with a finding of these counts as not clean."""


class Area(StrEnum):
    """What a score is about: everything, or one dimension of the rules."""

    ALL = "all"
    PACKAGE = "package"
    COMPLETENESS = "completeness"
    CONFORMITY = "conformity"
    CONSISTENCY = "consistency"
    UNIQUENESS = "uniqueness"


AREAS = {Dimension[area.name]: area for area in Area if area is not Area.ALL}


@dataclass(frozen=True, slots=True)
class Score:
    """Records without critical or error findings: ``clean`` of ``records``, as ``share``."""

    area: Area
    records: int
    clean: int

    @property
    def share(self) -> float | None:
        """Return the share (0 to 1), ``None`` without records."""
        return self.clean / self.records if self.records else None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"share": self.share}


def different_records(receipt: Receipt | None) -> int:
    """Return how many different records a delivery had: a record counts once."""
    return receipt.recordsRead - receipt.duplicates if receipt else 0


def scores(receipt: Receipt | None, serious: Mapping[Area, int]) -> list[Score]:
    """Return one score for everything and one per dimension.

    A record that could not be read is not clean in ``all`` and ``package``; the other
    dimensions can only judge records that were read.
    """
    if receipt is None:
        return []
    records = different_records(receipt)
    readable = records - receipt.rejected
    found = []
    for area in Area:
        of = records if area in (Area.ALL, Area.PACKAGE) else readable
        found.append(Score(area, of, max(0, readable - serious.get(area, 0))))
    return found
