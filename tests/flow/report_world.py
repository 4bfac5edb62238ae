"""A hub with a history and hostile findings, for the reports an office reads of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.findings import FindingBook
from connectors.hub import Hub
from connectors.ledger import DeliveredFile, Delivery
from connectors.reports.pages import FINDINGS_SHOWN
from connectors.reports.sources import ReportSource, office_report
from connectors.schema import FINDINGS
from connectors.settings import Settings
from ipregister.deliveries import Kind, Receipt, State
from ipregister.model import Right

NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
RECEIPT = Receipt(recordsRead=400, accepted=380, held=17, rejected=1, duplicates=2, inserted=380)

WORDS = ["ផ្កាឈូក", "ดอกบัว", "ດອກບົວ", "ကြာပန်း", "Hoa Sen Việt"]
STARTS = ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", " =", "\ufeff="]  # noqa: RUF001
BODIES = ["1+1", 'HYPERLINK("http://evil.example")', "cmd|' /C calc'!A0"]
FORMULAS = [start + body for start in STARTS for body in BODIES] + ["a;=1+1", "a\n=1+1", "-", "="]
MARKUP = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "https://evil.example/?q=1",
    "\u202egnp.exe\x07",
]
HOSTILE = FORMULAS + MARKUP
ACTIVE = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001


def findings_file(path: Path, counts: dict[str, int], values: list[str]) -> None:
    """Write findings of each rule, in the order intake writes them; values take turns."""
    book = FindingBook({})
    rows = [
        book.finding(
            code,
            file=f"{values[i % len(values)]}.zip!{i}.xml",
            line=i + 1,
            recordId=None if code.startswith("ALL.PKG.01") else f"r{i}",
            applicationNumber=f"KH/{90_000 + i}/2026",
            elementPath="TradeMark/ApplicationNumber",
            value=values[i % len(values)],
            suggestedValue=values[-1 - i % len(values)],
            state="open" if i % 2 else "new",
        )
        for code, count in counts.items()
        for i in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=FINDINGS), path)


COUNTS = {
    "ALL.PKG.008": 17,
    "ALL.CNF.006": FINDINGS_SHOWN + 30,
    "ALL.CMP.016": 60,
    "ALL.PKG.012": 3,
}


def delivered(home: Path) -> None:
    """Make a hub where KH delivered trademarks twelve times, once the same again, patents once."""
    hub = Hub.create(Settings(home=home))
    for hour in range(11):
        deliver(hub, hour, State.PUBLISHED, Receipt(recordsRead=1, accepted=1))
    checked = deliver(hub, 11, State.PUBLISHED_WITH_FINDINGS, RECEIPT, findings={"critical": 17})
    again = [DeliveredFile("again.xml", f"{11:064x}", 7)]
    hub.ledger.deliveries.record(
        "KH", Right.TRADEMARKS, Kind.UPDATE, "sftp", again, at=at(12), by="ipob_kh"
    )
    held = Receipt(recordsRead=100, held=100)
    deliver(
        hub, 13, State.HELD, held, right=Right.PATENTS, reason="Held: <b>45</b> would disappear"
    )
    findings_file(hub.home.findings(checked.deliveryId), COUNTS, HOSTILE + WORDS)
    hub.close()


def at(hour: int) -> datetime:
    return NOW - timedelta(hours=20 - hour)


def deliver(
    hub: Hub,
    hour: int,
    state: State,
    receipt: Receipt,
    *,
    right: Right = Right.TRADEMARKS,
    reason: str | None = None,
    findings: dict[str, int] | None = None,
) -> Delivery:
    ledger = hub.ledger.deliveries
    files = [DeliveredFile(f"KH {WORDS[0]} {hour}.xml", f"{hour:064x}", 7)]
    new = ledger.record("KH", right, Kind.UPDATE, "sftp", files, at=at(hour), by="ipob_kh")
    assert hub.ledger.leases.claim(new.deliveryId, "test", at(hour))
    return ledger.move(
        new.deliveryId,
        state,
        at(hour),
        "test",
        reason,
        receipt=receipt,
        findings=findings,
        worker="test",
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hub")
    delivered(made)
    return made


@pytest.fixture
def source(home: Path, tmp_path: Path) -> Iterator[ReportSource]:
    hub = Hub.open(Settings(home=home))
    yield office_report(hub, "KH", None, at=NOW, temporary=tmp_path / "spill")
    hub.close()
