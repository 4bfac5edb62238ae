"""Which deliveries an office's report tells of: the latest, and whatever still waits for it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.reports import sources
from connectors.reports.sources import office_report
from ipregister.deliveries import Kind, State
from ipregister.model import Right


def told(desk: Any, tmp_path: Path) -> list[str | None]:
    at: datetime = desk.now
    source = office_report(desk.hub, "KH", Right.TRADEMARKS, at=at, temporary=tmp_path)
    return [each.arrival.deliveryId for each in source.report.reports]


def test_neither_dry_runs_nor_updates_hide_what_is_held(
    desk: Any, ipas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "DELIVERIES", 2)
    many = [ipas.mark(f"KH/{number}/2019") for number in range(90000, 90060)]
    first = desk.deliver(ipas.marks(*many), kind=Kind.FULL_EXTRACTION)
    held = desk.deliver(ipas.marks(many[0]), kind=Kind.FULL_EXTRACTION)
    assert held.state is State.HELD

    def send(kind: Kind, count: int) -> list[str]:
        sent = []
        for number in range(count):
            desk.now += timedelta(hours=1)
            mark = ipas.mark(f"KH/{number}/2020", word=f"{kind} {number}")
            sent.append(desk.deliver(ipas.marks(mark), kind=kind).deliveryId)
        return sent

    updates = send(Kind.UPDATE, 2)
    assert told(desk, tmp_path) == [*reversed(updates), held.deliveryId]
    tried = send(Kind.TEST, 3)
    assert told(desk, tmp_path) == [*reversed(tried[1:]), *reversed(updates), held.deliveryId]
    assert first.deliveryId not in told(desk, tmp_path)
