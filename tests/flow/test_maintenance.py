"""What the night removes, and what it leaves alone because somebody may be at work on it."""

import os
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.views import UNUSED_VIEWS_STAY, authorize
from ipregister.authorizations import Decision, Grant
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule
from pipelines.maintenance import maintain

DAYS = 86_400


def plant(path: Path, *, days: float) -> Path:
    """Write a file that nobody has touched for some days."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left over")
    then = time.time() - days * DAYS
    os.utime(path, (then, then))
    return path


def test_leftovers_go_and_what_may_be_in_use_stays(desk: Any, ipas: Any) -> None:
    done = desk.deliver(ipas.marks(ipas.mark()))
    waiting = desk.hand_in(ipas.marks(ipas.mark("KH90002")))
    home = desk.hub.home
    log = home.root / "register/trademarks/log/office=KH"
    old = [
        plant(log / "part-of-a-commit-never-made.parquet", days=3),
        plant(home.staging(done.deliveryId) / "rows-00001.parquet", days=0),
        plant(home.root / "findings/KH-1.unfinished", days=2),
        plant(home.root / "staging/.spill/duckdb_temp_storage_1.tmp", days=2),
        plant(home.root / "holds/KH-1.unfinished", days=2),
        plant(home.root / f"exports/queue/a.{'0f' * 8}", days=2),
        plant(home.root / "receipts/snapshots/.abc.7", days=2),
        plant(home.root / "keys/signing/.abc.01234567", days=2),
        plant(home.root / "keys/.pepper.01234567", days=2),
        plant(home.root / "staging/reprocessing-KH-trademarks/said.parquet", days=2),
        plant(home.root / ".backup-abc/ledger.sqlite", days=2),
        plant(home.root / ".report-abc/report", days=2),
    ]
    for directory in (".backup-abc", ".report-abc", "staging/reprocessing-KH-trademarks"):
        os.utime(home.root / directory, (time.time() - 2 * DAYS,) * 2)
    used = [
        plant(log / "part-of-a-commit-being-made.parquet", days=1),
        plant(home.staging(waiting.deliveryId) / "publication.json", days=9),
        plant(home.root / "findings/KH-2.unfinished", days=0),
        plant(home.root / "staging/.spill/duckdb_temp_storage_2.tmp", days=0),
        plant(home.root / f"exports/queue/b.{'0f' * 8}", days=0),
        plant(home.root / "exports/queue/c.json", days=2),
        plant(home.root / "staging/reprocessing-MY-trademarks/said.parquet", days=2),
    ]
    before = desk.served_bytes()
    swept = maintain(desk.hub, at=datetime.now(UTC)).swept
    assert [path.name for path in old if path.exists()] == []
    assert [path.name for path in used if not path.exists()] == []
    assert swept.document() == {"arrivals": 0, "uploads": 0, "deliveries": 1, "leftovers": 10}
    assert desk.served_bytes() == before


def test_the_view_of_an_authorization_that_ran_out_goes_when_nobody_decides_anything(
    desk: Any, ipas: Any
) -> None:
    hub, tm, at = desk.hub, Right.TRADEMARKS, datetime(2026, 11, 22, tzinfo=UTC)
    desk.deliver(ipas.marks(ipas.mark(filed="2019-05-02")))
    until = {2018: at.date() + timedelta(days=10), 2019: None}
    grants = {}
    for year, last in until.items():
        name, rule = f"Since {year}", RowRule(applicationDateFrom=date(year, 1, 1))
        grants[year] = Grant(frozenset(Disclosure), rule)
        hub.ledger.clients.add(name=name, third_party=name, at=at, by="test")
        decision = Decision({tm: grants[year]}, validUntil=last)
        authorize(
            *(hub.ledger, hub.serving),
            **{"office": "KH", "third_party": name, "decision": decision, "by": "test"},
            clock=lambda: at,
        )
    ran_out = at + timedelta(days=11)
    assert maintain(hub, at=ran_out - timedelta(days=1)).views == 0
    assert maintain(hub, at=ran_out).views == 0
    assert maintain(hub, at=ran_out + UNUSED_VIEWS_STAY).views == 0
    assert [hub.serving.count("KH", tm, grants[year]) for year in until] == [1, 1]
    assert maintain(hub, at=ran_out + UNUSED_VIEWS_STAY + timedelta(days=1)).views == 1
    assert hub.serving.count("KH", tm, grants[2019]) == 1
    with pytest.raises(StoreError, match="not prepared"):
        hub.serving.count("KH", tm, grants[2018])
