"""The quality report an office reads: what it contains, put together.

Pure: tallies of findings come in, values and plain sentences go out. Reading findings and
writing HTML, JSON, CSV or XLSX is ``connectors.reports``. Member names of documents are those
of the JSON report. Every share has its parts beside it; there is no number without them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from ipregister.deliveries import Kind, Receipt, State
from ipregister.folders import FolderVisit
from ipregister.holds import Escalation
from ipregister.instants import instant
from ipregister.model import Right
from ipregister.profiles import Override
from ipregister.quality import Dimension, Rule, Severity
from ipregister.report_scores import AREAS, Area, Score, different_records, scores
from ipregister.report_tallies import NOTHING_UNMAPPED, RuleTally, Tallies, Vocabulary
from ipregister.report_words import (
    headline,
    impact,
    receipt_sum,
    reverted_in_words,
    state_in_words,
)

COUNTS = frozenset(
    {
        *("office", "right", "kind", "deliveryId", "state", "stateInWords", "receivedAt"),
        *("receipt", "receiptSum", "full", "findings", "scores", "rules", "impact"),
    }
)
"""Members of a report that are numbers or our own words. Reasons, file names, holds and unknown
words are not: an office or its data speaks there."""


@dataclass(frozen=True, slots=True)
class ReportedFile:
    """One delivered file: the office's name for it, hex SHA-256, size in bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """What arrived and what became of it; of a dry run, only what a dry run knows.

    ``hold`` is why it waits for the office (``ipregister.holds``), while it does.
    """

    office: str
    right: Right
    kind: Kind
    files: tuple[ReportedFile, ...]
    receipt: Receipt | None = None
    deliveryId: str | None = None
    channel: str | None = None
    state: State | None = None
    reason: str | None = None
    receivedAt: datetime | None = None
    receivedBy: str | None = None
    officeDate: date | None = None
    hold: Mapping[str, Any] | None = None
    escalation: Escalation | None = None
    revertedAt: datetime | None = None
    revertedBy: str | None = None

    @property
    def stands_as(self) -> State | None:
        """Return the state; one that was published and reverted counts no more than withdrawn."""
        return State.WITHDRAWN if self.revertedAt else self.state

    @property
    def state_in_words(self) -> str:
        """Return what the delivery's state means for the office."""
        if self.revertedAt is not None:
            return reverted_in_words(self.revertedAt, self.revertedBy)
        return state_in_words(self.state, self.reason)

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {
            "files": {"items": [asdict(file) for file in self.files]},
            "receivedAt": instant(self.receivedAt) if self.receivedAt else None,
            "officeDate": self.officeDate.isoformat() if self.officeDate else None,
            "escalation": self.escalation.document() if self.escalation else None,
            "revertedAt": instant(self.revertedAt) if self.revertedAt else None,
            "stateInWords": self.state_in_words,
            "receiptSum": receipt_sum(self.receipt) if self.receipt else None,
        }


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One rule with what it found; ``share`` is ``records`` of all different records (0 to 1).

    ``records`` is 0 where the findings are about files. ``severityReason`` says why this
    office has another severity than the others.
    """

    ruleCode: str
    severity: Severity
    area: Area
    title: str
    remedy: str
    source: str
    records: int
    share: float | None
    findings: int
    new: int
    severityReason: str | None = None


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The report on one delivery. Only a ``full`` one has scores, rules and vocabulary."""

    arrival: Arrival
    findings: Mapping[str, int]
    full: bool = False
    scores: tuple[Score, ...] = ()
    rules: tuple[BrokenRule, ...] = ()
    vocabulary: Vocabulary = NOTHING_UNMAPPED
    criticalRecords: int = 0

    @property
    def impact(self) -> str:
        """Return which records third parties do not get."""
        receipt, state = self.arrival.receipt, self.arrival.stands_as
        return impact(critical=self.criticalRecords, receipt=receipt, state=state)

    @property
    def headline(self) -> str:
        """Return the first sentence about the delivery."""
        overall = self.scores[0] if self.scores else Score(Area.ALL, 0, 0)
        state, receipt = self.arrival.stands_as, self.arrival.receipt
        return headline(state, receipt, self.findings, overall.clean, overall.records)

    def document(self) -> dict[str, Any]:
        """Return the JSON form without the findings, which a writer streams as ``items``."""
        document = self.arrival.document() | {"full": self.full, "findings": dict(self.findings)}
        if self.full:
            document |= {
                "inWords": self.headline,
                "scores": {"items": [score.document() for score in self.scores]},
                "rules": {"items": [asdict(rule) for rule in self.rules]},
                "vocabulary": asdict(self.vocabulary),
                "impact": {"criticalRecords": self.criticalRecords, "inWords": self.impact},
            }
        return document

    def counts(self) -> dict[str, Any]:
        """Return the JSON form for who may know numbers only: nothing an office wrote."""
        return {name: value for name, value in self.document().items() if name in COUNTS}


@dataclass(frozen=True, slots=True)
class OfficeReport:
    """Everything one office opens: its reports, newest first, and what lies in its folder."""

    office: str
    officeName: str
    generatedAt: datetime
    reports: Sequence[QualityReport]
    right: Right | None = None
    isDryRun: bool = False
    folder: FolderVisit | None = None

    @property
    def rights(self) -> list[Right]:
        """Return the rights there are reports on, in the hub's order."""
        return [right for right in Right if any(r.arrival.right is right for r in self.reports)]

    def of(self, right: Right) -> list[QualityReport]:
        """Return the reports on one right, newest first."""
        return [report for report in self.reports if report.arrival.right is right]

    def document(self) -> dict[str, Any]:
        """Return the JSON form without the reports, which a writer streams as ``items``."""
        return {
            "office": self.office,
            "officeName": self.officeName,
            "right": self.right,
            "generatedAt": instant(self.generatedAt),
            "timeZone": "UTC",
        } | ({"sftpFolder": self.folder.document()} if self.folder else {})

    def counts(self) -> dict[str, Any]:
        """Return all of it in numbers, see ``QualityReport.counts``."""
        items = [report.counts() for report in self.reports]
        return replace(self, folder=None).document() | {"items": items}


def quality_report(
    arrival: Arrival, tallies: Tallies, rules: Iterable[Rule], overrides: Mapping[str, Override]
) -> QualityReport:
    """Put one delivery's full report together.

    Args:
        arrival: the delivery; scores need its receipt.
        tallies: what its findings add up to.
        rules: all rules, for titles and remedies.
        overrides: the office's own severities and their reasons.
    """
    known = {rule.code: rule for rule in rules}
    records = different_records(arrival.receipt)
    broken = [
        _broken(tally, known.get(tally.ruleCode), overrides, records) for tally in tallies.rules
    ]
    counts = dict.fromkeys(map(str, Severity), 0)
    for tally in tallies.rules:
        counts[tally.severity] += tally.findings
    return QualityReport(
        arrival=arrival,
        findings=counts,
        full=True,
        scores=tuple(scores(arrival.receipt, tallies.seriousRecords or {})),
        rules=tuple(sorted(broken, key=_worst_first)),
        vocabulary=tallies.vocabulary,
        criticalRecords=tallies.criticalRecords,
    )


def _broken(
    tally: RuleTally, rule: Rule | None, overrides: Mapping[str, Override], records: int
) -> BrokenRule:
    """Join what was found with what the rule says; a rule we no longer have keeps its code."""
    override = overrides.get(tally.ruleCode)
    is_moved = override is not None and override.severity == tally.severity
    return BrokenRule(
        ruleCode=tally.ruleCode,
        severity=tally.severity,
        area=AREAS[Dimension(tally.ruleCode.split(".")[1])],
        title=rule.title if rule else tally.ruleCode,
        remedy=rule.remedy if rule else "",
        source=rule.source if rule else "",
        records=tally.records,
        share=min(1.0, tally.records / records) if records and tally.records else None,
        findings=tally.findings,
        new=tally.new,
        severityReason=override.reason if override and is_moved else None,
    )


def _worst_first(rule: BrokenRule) -> tuple[int, int, int, str]:
    return list(Severity).index(rule.severity), -rule.records, -rule.findings, rule.ruleCode
