"""An office's report put together from the ledger and the findings kept per delivery.

What the report says is ``ipregister.reporting``; how it is written is the other modules here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.reports.findings import FindingsFile
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from ipregister.profiles import load_profile
from ipregister.quality import Severity, load_rules
from ipregister.reporting import (
    Arrival,
    OfficeReport,
    QualityReport,
    ReportedFile,
    quality_report,
)

DELIVERIES = 10
"""Deliveries of one right that a report looks back on, and as many dry runs."""


@dataclass(frozen=True, slots=True)
class ReportSource:
    """A report and, for each full one, its findings by position in ``report.reports``."""

    report: OfficeReport
    findings: Mapping[int, FindingsFile]


def office_report(
    hub: Hub, office: str, right: Right | None, *, at: datetime, temporary: Path
) -> ReportSource:
    """Return what one office reads: its last deliveries, the latest checked one in full.

    Args:
        hub: the stores.
        office: ST.3 code.
        right: one right; all the office sends when not given.
        at: instant of the report (UTC).
        temporary: a directory to spill to.
    """
    reports: list[QualityReport] = []
    findings: dict[int, FindingsFile] = {}
    for one in Right if right is None else (right,):
        found = _looked_back_on(hub.ledger.deliveries.list(office=office, right=one))
        latest = next((delivery for delivery in found if delivery.receipt), None)
        for delivery in found:
            # Older ones too while they have findings or wait: a clean update after a full
            # extraction must not hide what is still to be mended or decided in the extraction.
            is_open = delivery.findings or delivery.state is State.HELD
            if delivery is latest or (delivery is found[0] and latest is None) or is_open:
                file = FindingsFile(hub.home.findings(delivery.deliveryId), temporary=temporary)
                findings[len(reports)] = file
                reports.append(full_report(arrival(delivery, at), file))
            else:
                reports.append(_in_short(delivery, at))
    name = load_profile(office).name
    folder = hub.ledger.contacts.get(office).folder
    whole = OfficeReport(office, name, at, tuple(reports), right, folder=folder)
    return ReportSource(whole, findings)


def _looked_back_on(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return what an office is told of, newest first; also what waits for it behind others."""
    dry_runs = [each for each in deliveries if each.kind is Kind.TEST]
    real = [each for each in deliveries if each.kind is not Kind.TEST]
    waiting = [each for each in real[DELIVERIES:] if each.state is State.HELD]
    told = {each.deliveryId for each in (*real[:DELIVERIES], *waiting, *dry_runs[:DELIVERIES])}
    return [each for each in deliveries if each.deliveryId in told]


def dry_run_report(checked: Arrival, findings: FindingsFile, *, at: datetime) -> ReportSource:
    """Return the report on files that were checked and not delivered."""
    report = full_report(checked, findings)
    name = load_profile(checked.office).name
    whole = OfficeReport(checked.office, name, at, (report,), checked.right, isDryRun=True)
    return ReportSource(whole, {0: findings})


def full_report(checked: Arrival, findings: FindingsFile) -> QualityReport:
    """Return everything there is to say about one delivery."""
    overrides = load_profile(checked.office).rules
    return quality_report(checked, findings.tallies(), load_rules(), overrides)


def arrival(delivery: Delivery, at: datetime) -> Arrival:
    """Return a delivery of the ledger as a report of the instant ``at`` shows it."""
    urgency = delivery.escalation(at)
    return Arrival(
        office=delivery.office,
        right=delivery.right,
        kind=delivery.kind,
        files=tuple(ReportedFile(file.name, file.sha256, file.bytes) for file in delivery.files),
        receipt=delivery.receipt,
        deliveryId=delivery.deliveryId,
        channel=str(delivery.channel),
        state=delivery.state,
        reason=delivery.reason,
        receivedAt=delivery.receivedAt,
        receivedBy=delivery.receivedBy,
        officeDate=delivery.officeDate,
        hold=delivery.hold if urgency else None,
        escalation=urgency,
        revertedAt=delivery.revertedAt,
        revertedBy=delivery.revertedBy,
    )


def _in_short(delivery: Delivery, at: datetime) -> QualityReport:
    counts = dict.fromkeys(map(str, Severity), 0) | dict(delivery.findings or {})
    return QualityReport(arrival(delivery, at), counts)
