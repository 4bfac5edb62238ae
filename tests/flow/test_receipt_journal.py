"""Access receipts on disk: journals, seals, and the questions an office asks of them."""

import errno
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from connectors.hub import Hub
from connectors.ledger import Ledger
from connectors.ledger.columns import from_microseconds, microseconds
from connectors.receipts import reading, sealing
from connectors.receipts.journal import Journal, Receipt, Route, cursor_digest, read_journal
from connectors.receipts.reading import Asked, Receipts
from connectors.receipts.sealing import broken_seals, open_journals, seal_days, seals
from connectors.receipts.snapshots import keep_contents
from connectors.receipts.tables import tables_of
from connectors.settings import Settings
from iphub.cli import app
from ipregister.errors import StoreError
from ipregister.model import Right

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
THURSDAY = datetime(2026, 11, 26, 9, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "receipts")
    yield opened
    opened.close()


def read(
    *records: str,
    at: datetime = MONDAY,
    request: str = "r1",
    party: str = "Acme",
    office: str = "KH",
    route: Route = Route.PAGE,
    retracted: tuple[str, ...] = (),
    snapshot: str = "",
    came_with: str = "",
    left_with: str = "",
) -> Receipt:
    return Receipt(
        *(microseconds(at), request, f"tp-{party}", party, office, "trademarks", route, 3, 3),
        *(records, retracted, snapshot, cursor_digest(came_with), cursor_digest(left_with)),
    )


def test_an_office_finds_its_own_receipts_only(journal: Journal) -> None:
    journal.append(read("A", "B"), read("C", office="TH"))
    (found,) = Receipts(journal.root).find(Asked("KH"), limit=10)
    assert (found.records, found.officeCode, found.authorizationVersion) == (2, "KH", 3)
    assert found.classes == ("core", "stakeholder")
    assert Receipts(journal.root).named(Asked("KH"), "r1") == {
        "records": ["A", "B"],
        "retracted": [],
    }
    assert Receipts(journal.root).named(Asked("TH"), "r1")["records"] == ["C"]


def test_questions_by_record_third_party_right_and_period(journal: Journal) -> None:
    journal.append(
        read("A", request="r1"),
        read("A", "B", request="r2", party="Bora", at=MONDAY + timedelta(hours=1)),
        read("B", request="r3", at=MONDAY + timedelta(hours=2)),
    )

    def ids(asked: Asked) -> list[str]:
        return [found.requestId for found in Receipts(journal.root).find(asked, limit=10)]

    assert ids(Asked("KH")) == ["r3", "r2", "r1"]
    assert ids(Asked("KH", record_id="A")) == ["r2", "r1"]
    assert ids(Asked("KH", third_party="Acme", record_id="B")) == ["r3"]
    assert ids(Asked("KH", right=Right.PATENTS)) == []
    assert ids(Asked("KH", since=MONDAY + timedelta(hours=1))) == ["r3", "r2"]
    assert ids(Asked("KH", until=MONDAY + timedelta(hours=1))) == ["r1"]


HOUR = timedelta(hours=1)
EARLIER, LATER = MONDAY - HOUR, MONDAY + HOUR


@pytest.mark.parametrize(
    ("left_with", "next_one", "confirmed"),
    [
        ("x", read("C", at=LATER, request="r2", came_with="x"), True),
        ("x", read("C", request="r2", came_with="x"), True),
        ("x", read("C", at=EARLIER, request="r2", came_with="x"), False),
        ("x", read("C", at=LATER, request="r2", came_with="y"), False),
        ("x", read("C", at=LATER, request="r2", came_with="x", party="Bora"), False),
        ("", read("C", at=LATER, request="r2"), False),
    ],
)
def test_only_its_reader_with_its_cursor_and_afterwards_confirms_what_was_taken_back(
    journal: Journal, left_with: str, next_one: Receipt, confirmed: bool
) -> None:
    taken = [
        read(request=request, retracted=("A", "B"), left_with=left_with) for request in ("r0", "r1")
    ]
    journal.append(*taken, next_one)
    receipts = Receipts(journal.root)
    found = {one.requestId: one.acknowledgedAt for one in receipts.find(Asked("KH"), limit=10)}
    at = from_microseconds(next_one.at) if confirmed else None
    assert found == {"r0": at, "r1": at, "r2": None}
    (told,) = receipts.usage(Asked("KH", third_party="Acme"))
    assert told.retractionsOpen == (0 if confirmed else 2)
    assert told.records == (next_one.thirdParty == "Acme")  # what is taken back was not read


def test_receipts_come_page_by_page_across_sealed_and_open_days(
    journal: Journal, ledger: Ledger
) -> None:
    for hour in range(6):
        journal.append(read(f"R{hour}", request=f"r{hour}", at=MONDAY + timedelta(hours=hour)))
    journal.append(read("late", request="r9", at=THURSDAY))
    assert seal_days(journal.root, ledger, at=THURSDAY, by="test") == ["2026-11-23.1"]
    found, place = list[str](), None
    while page := Receipts(journal.root).find(Asked("KH"), before=place, limit=2):
        found += [receipt.requestId for receipt in page]
        place = page[-1].place
    assert found == ["r9", "r5", "r4", "r3", "r2", "r1", "r0"]


def test_pages_go_on_where_they_are_while_their_day_is_sealed(
    journal: Journal, ledger: Ledger
) -> None:
    """A page of the feed is a receipt for each right, and a clock may be the same for all."""
    rights = [str(right) for right in Right]
    for request in ("r1", "r2"):
        journal.append(*(replace(read("R", request=request), right=right) for right in rights))
    receipts = Receipts(journal.root)
    whole = [(one.requestId, one.right) for one in receipts.find(Asked("KH"), limit=9)]
    pages = [receipts.find(Asked("KH"), limit=number) for number in range(1, 6)]
    seal_days(journal.root, ledger, at=THURSDAY, by="test")
    for page in pages:
        rest = receipts.find(Asked("KH"), before=page[-1].place, limit=9)
        assert [(one.requestId, one.right) for one in (*page, *rest)] == whole


def test_what_was_taken_back_is_acknowledged_when_the_reader_comes_back_with_its_cursor(
    journal: Journal,
) -> None:
    receipts = Receipts(journal.root)
    journal.append(
        read(
            retracted=("A", "B"), route=Route.CHANGES, came_with="c1", left_with="c2", request="r2"
        )
    )
    (open_,) = receipts.find(Asked("KH"), limit=10)
    assert (open_.retracted, open_.acknowledgedAt) == (2, None)
    journal.append(
        read(
            retracted=("B", "C"), route=Route.CHANGES, came_with="c1", left_with="c9", request="r9"
        )
    )
    assert receipts.usage(Asked("KH"))[0].retractionsOpen == 3  # records, each once
    again = MONDAY + timedelta(minutes=5)
    journal.append(
        read(route=Route.CHANGES, at=again, came_with="c2", left_with="c3", request="r3")
    )
    assert receipts.find(Asked("KH"), limit=10)[-1].acknowledgedAt == again
    assert receipts.usage(Asked("KH"))[0].retractionsOpen == 2
    journal.append(
        read(route=Route.CHANGES, at=again, came_with="c9", left_with="c3", request="r4")
    )
    assert receipts.usage(Asked("KH"))[0].retractionsOpen == 0


def test_usage_counts_each_record_once(journal: Journal) -> None:
    journal.append(read("A", "B"), read("B", "C", at=MONDAY + timedelta(hours=1)))
    (usage,) = Receipts(journal.root).usage(Asked("KH"))
    assert (usage.answers, usage.records, usage.firstAt) == (2, 3, MONDAY)


def test_a_file_names_its_records_for_as_long_as_receipts_are_kept(journal: Journal) -> None:
    keep_contents(journal.root, "snap-1", ["B", "A"])
    keep_contents(journal.root, "snap-2", ["C"])
    journal.append(read(route=Route.SNAPSHOT, snapshot="snap-1"))
    journal.append(read(route=Route.SNAPSHOT, snapshot="snap-2", request="r2"))
    (found,) = Receipts(journal.root).find(Asked("KH", record_id="A"), limit=10)
    assert (found.requestId, found.snapshotId) == ("r1", "snap-1")


def test_what_was_in_a_file_counts_as_read(journal: Journal) -> None:
    keep_contents(journal.root, "snap-1", ["B", "A"])
    keep_contents(journal.root, "snap-2", ["B", "C", "D"])
    for request in ("r1", "r2"):  # the two halves of one file
        journal.append(read(route=Route.SNAPSHOT, snapshot="snap-1", request=request))
    journal.append(read("A", "E", request="r3"))
    journal.append(read(route=Route.DELTA_SHARING, snapshot="snap-2", request="r4", office="TH"))
    receipts = Receipts(journal.root)
    assert [found.records for found in receipts.find(Asked("KH"), limit=10)] == [2, 2, 2]
    assert receipts.named(Asked("KH"), "r2") == {"records": ["A", "B"], "retracted": []}
    assert receipts.named(Asked("KH"), "r4") == {"records": [], "retracted": []}
    (usage,) = receipts.usage(Asked("KH"))
    assert (usage.answers, usage.records) == (3, 3)
    assert receipts.usage(Asked("TH"))[0].records == 3


def test_a_receipt_cut_off_by_a_killed_process_ends_its_journal_and_no_other(
    journal: Journal,
) -> None:
    journal.append(read("A"))
    journal.append(read("B", request="r2"))
    (path,) = open_journals(journal.root)
    with path.open("r+b") as torn:
        torn.truncate(path.stat().st_size - 3)
    other = Journal(journal.root)
    other.append(read("C", request="r3"))
    other.close()
    assert sorted(receipts_in(journal)) == [["A"], ["C"]]


def receipts_in(journal: Journal) -> list[Any]:
    return [
        receipt.records for path in open_journals(journal.root) for receipt in read_journal(path)
    ]


def failing(*_: Any) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("cut", [True, False], ids=["cut off", "cannot be cut off"])
def test_no_answer_is_given_that_cannot_be_written_down(
    cut: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cut:
        monkeypatch.setattr(os, "ftruncate", failing)
    journal = Journal(tmp_path / "receipts")
    journal.append(read("A"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (path,) = open_journals(journal.root)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            journal.append(read("B", request="r2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    journal.append(read("C", request="r3"))
    assert sorted(receipts_in(journal)) == [["A"], ["C"]]
    assert len(open_journals(journal.root)) == (1 if cut else 2)
    journal.close()


def test_sealing_loses_and_doubles_nothing_wherever_it_stopped(
    journal: Journal, ledger: Ledger
) -> None:
    journal.append(read("A", "B"))
    journal.append(read("C", at=THURSDAY, request="r2"))
    (monday, _) = open_journals(journal.root)
    kept = monday.read_bytes()
    before = [r.document() for r in Receipts(journal.root).find(Asked("KH"), limit=10)]
    seal_days(journal.root, ledger, at=THURSDAY, by="test")
    monday.write_bytes(kept)  # the process died before it dropped the journal
    assert [r.document() for r in Receipts(journal.root).find(Asked("KH"), limit=10)] == before
    assert seal_days(journal.root, ledger, at=THURSDAY, by="test") == []
    assert not monday.exists()
    assert [r.document() for r in Receipts(journal.root).find(Asked("KH"), limit=10)] == before


@pytest.mark.parametrize(
    ("step", "first"),
    [(open_journals, True), (open_journals, False), (seals, True)],
    ids=["before the list", "after the list", "after it was read"],
)
def test_a_day_that_is_sealed_while_it_is_asked_about_is_told_once(
    journal: Journal,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[[Path], list[Path]],
    *,
    first: bool,
) -> None:
    journal.append(read("A"))
    journal.append(read("B", at=THURSDAY, request="r2"))

    def listed(root: Path) -> list[Path]:
        before = step(root)
        assert seal_days(root, ledger, at=THURSDAY, by="test") == ["2026-11-23.1"]
        return step(root) if first else before

    monkeypatch.setattr(reading, step.__name__, listed)
    found = Receipts(journal.root).find(Asked("KH"), limit=10)
    assert [receipt.requestId for receipt in found] == ["r2", "r1"]


def test_a_late_journal_of_a_sealed_day_gets_a_seal_of_its_own(
    journal: Journal, ledger: Ledger
) -> None:
    journal.append(read("A"))
    seal_days(journal.root, ledger, at=THURSDAY, by="test")
    late = Journal(journal.root)
    late.append(read("B", request="r2"))
    late.close()
    assert seal_days(journal.root, ledger, at=THURSDAY, by="test") == ["2026-11-23.2"]
    assert len(Receipts(journal.root).find(Asked("KH"), limit=10)) == 2


def test_two_that_seal_at_once_make_one_seal(
    journal: Journal, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(read("A"))

    def slowly(*what: Any) -> Any:
        time.sleep(0.3)
        return tables_of(*what)

    monkeypatch.setattr(sealing, "tables_of", slowly)
    with ThreadPoolExecutor(2) as pool:
        seal = partial(seal_days, journal.root, ledger, at=THURSDAY, by="test")
        done = [each.result() for each in [pool.submit(seal), pool.submit(seal)]]
    assert sorted(done) == [[], ["2026-11-23.1"]]
    assert list(broken_seals(journal.root, ledger)) == []


def test_a_hub_without_dagster_seals_with_its_maintenance(tmp_path: Path) -> None:
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    journal, day = Journal(hub.home.receipts), datetime.now(UTC) - timedelta(days=3)
    journal.append(read("A", at=day))
    journal.close()
    said = CliRunner().invoke(app, ["maintain", "--home", str(hub.home.root), "--format", "json"])
    assert json.loads(said.stdout)["sealed"] == [f"{day:%Y-%m-%d}.1"]
    assert open_journals(hub.home.receipts) == []
    assert list(broken_seals(hub.home.receipts, hub.ledger)) == []
    hub.close()


def test_a_day_sealed_by_a_clock_that_was_ahead_goes_on(journal: Journal, ledger: Ledger) -> None:
    """The process that answers kept the file open, and writes again when the clock is right."""
    journal.append(read("A"))
    seal_days(journal.root, ledger, at=THURSDAY, by="test")
    journal.append(read("B", at=MONDAY + timedelta(seconds=1), request="r2"))
    found = Receipts(journal.root).find(Asked("KH"), limit=10)
    assert [each.records for each in found] == [1, 1]
    seal_days(journal.root, ledger, at=THURSDAY, by="test")
    assert [folder.name for folder in seals(journal.root)] == ["2026-11-23.1", "2026-11-23.2"]


def test_a_day_is_not_sealed_while_answers_of_it_may_still_be_under_way(
    journal: Journal, ledger: Ledger
) -> None:
    journal.append(read("A"))
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    assert seal_days(journal.root, ledger, at=midnight + timedelta(minutes=59), by="test") == []
    assert seal_days(journal.root, ledger, at=midnight + timedelta(hours=1), by="test") != []


@pytest.mark.parametrize("harm", ["changed", "removed", "added"])
def test_a_seal_that_was_tampered_with_shows(journal: Journal, ledger: Ledger, harm: str) -> None:
    journal.append(read("A"))
    seal_days(journal.root, ledger, at=THURSDAY, by="test")
    assert list(broken_seals(journal.root, ledger)) == []
    (seal,) = seals(journal.root)
    if harm == "changed":
        with (seal / "named.parquet").open("ab") as sink:
            sink.write(b"x")
    elif harm == "removed":
        seal.rename(seal.with_name("elsewhere"))
    else:
        shutil.copytree(seal, seal.with_name("2026-11-22.1"))
    (broken,) = broken_seals(journal.root, ledger)
    assert broken.name == ("2026-11-22.1" if harm == "added" else "2026-11-23.1")
