"""What a file of findings adds up to, before rules, scores and words make a report of it.

Pure values; counting is ``connectors.reports.findings``. Member names are those of the JSON report.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ipregister.quality import Severity
from ipregister.report_scores import Area

VOCABULARY_RULES = frozenset(
    {"ALL.CNF.004", "ALL.CNF.005", "ALL.CNF.006", "ALL.CNF.007", "TM.CNF.003", "ALL.PKG.015"}
)
"""Rules about words the office's profile does not know: countries, languages, statuses, events,
kinds of mark, elements. Their values are listed once with a count."""


@dataclass(frozen=True, slots=True)
class RuleTally:
    """How often one rule was broken: findings, of which new, and different records."""

    ruleCode: str
    severity: Severity
    findings: int
    new: int
    records: int


@dataclass(frozen=True, slots=True)
class UnmappedValue:
    """One word of the office that its profile does not know, and how often it stands."""

    ruleCode: str
    field: str | None
    value: str
    findings: int
    records: int
    firstFile: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The most frequent unmapped values; ``total`` counts all different ones."""

    items: tuple[UnmappedValue, ...] = ()
    total: int = 0


NOTHING_UNMAPPED = Vocabulary()


@dataclass(frozen=True, slots=True)
class Tallies:
    """What a file of findings adds up to.

    ``seriousRecords`` counts, per area, different records with a critical or error finding;
    ``criticalRecords`` different records with a critical one.
    """

    rules: tuple[RuleTally, ...] = ()
    seriousRecords: Mapping[Area, int] | None = None
    criticalRecords: int = 0
    vocabulary: Vocabulary = NOTHING_UNMAPPED
