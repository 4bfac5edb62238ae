"""Prepared files: one per what readers see, whole or not at all, never changed."""

import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from connectors.exports import builder, delta, store
from connectors.exports.builder import drain
from connectors.exports.formats import Format
from connectors.exports.snapshots import RETENTION
from connectors.exports.store import ExportStore
from connectors.exports.tasks import PREPARED, Snapshot, Task
from connectors.receipts.snapshots import contents_of
from connectors.rendering import render_fragments
from connectors.serving_store import Filters, Publication, ServingRow, ServingStore
from ipregister.authorizations import Grant
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right, load_tables

TM = Right.TRADEMARKS
AT = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
ALL = Grant(frozenset(Disclosure))
NO_PERSONS = Grant(frozenset(Disclosure) - {Disclosure.STAKEHOLDER})


class Hub:
    """A serving store with prepared files beside it."""

    def __init__(self, root: Path) -> None:
        self.serving = ServingStore(root / "serving.sqlite")
        self.exports = ExportStore(root / "exports")
        self.receipts = root / "receipts"
        self.deliveries = 0

    def publish(self, *rows: ServingRow) -> None:
        self.deliveries += 1
        self.serving.publish(Publication(f"D{self.deliveries}", "KH", TM, AT, rows))

    def drain(self) -> int:
        return drain(self.serving.path, self.exports, self.receipts)

    def task(self, kind: Format = Format.NDJSON, grant: Grant = ALL, **filters: Any) -> Task:
        place = self.serving.place("KH", TM, grant)
        return Task("KH", TM, place, kind, Filters(**filters))

    def prepare(self, task: Task) -> Snapshot:
        assert self.exports.ask(task)
        self.drain()
        found = self.exports.snapshot(task.key)
        assert found is not None
        return found

    def content(self, snapshot: Snapshot) -> bytes:
        return (self.exports.files / snapshot.file).read_bytes()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path)
    yield hub
    hub.serving.close()


def mark(number: int, applicant: str = "Dara", status: str = "filed") -> ServingRow:
    row = {
        "recordId": f"r{number}",
        "applicationNumber": f"KH/{number}",
        "applicationDate": f"20{number:02d}-01-02",
        "applicants": [{"identifier": applicant}],
        "status": status,
    }
    fragments = render_fragments(load_tables()[TM], row)
    return ServingRow(f"r{number}", 1, f"KH/{number}", fragments, status=status)


def lines(data: bytes) -> list[Any]:
    text = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("kind", PREPARED)
def test_a_file_is_as_its_manifest_says(hub: Hub, kind: Format) -> None:
    hub.publish(mark(10), mark(11))
    snapshot = hub.prepare(hub.task(kind, NO_PERSONS))
    data = hub.content(snapshot)
    assert (snapshot.records, snapshot.bytes) == (2, len(data))
    assert snapshot.sha256 == sha256(data).hexdigest()
    assert b"Dara" not in data
    assert hub.exports.state(hub.task(kind, NO_PERSONS).key) == "COMPLETED"


def test_a_file_has_the_records_a_reader_sees_and_filters_ask_for(hub: Hub) -> None:
    hub.publish(mark(10), mark(11, status="registered"))
    snapshot = hub.prepare(hub.task(grant=NO_PERSONS, status=("registered",)))
    (record,) = lines(hub.content(snapshot))
    assert (record["recordId"], "applicants" in record) == ("r11", False)


def test_what_is_in_a_file_is_kept_with_the_receipts(hub: Hub) -> None:
    hub.publish(mark(10), mark(11))
    snapshot = hub.prepare(hub.task())
    assert contents_of(hub.receipts, "r11") == [snapshot.sha256]
    assert contents_of(hub.receipts, "r12") == []


def test_readers_who_see_the_same_share_a_file_and_others_do_not(hub: Hub) -> None:
    hub.publish(mark(10))
    keys = [
        hub.task().key,
        hub.task(grant=NO_PERSONS).key,
        hub.task(Format.CSV).key,
        hub.task(status=("filed",)).key,
    ]
    assert len(set(keys)) == 4
    assert hub.task().key == keys[0]


def test_a_change_nobody_may_see_makes_no_new_file(hub: Hub) -> None:
    hub.publish(mark(10))
    with_persons, without = hub.task().key, hub.task(grant=NO_PERSONS).key
    hub.publish(mark(10, applicant="Sophea"))
    assert hub.task(grant=NO_PERSONS).key == without
    assert hub.task().key != with_persons


def test_a_snapshot_stays_as_it_was(hub: Hub) -> None:
    hub.publish(mark(10))
    old = hub.task(Format.PARQUET)
    before = hub.content(hub.prepare(old))
    hub.publish(mark(11))
    now = hub.prepare(hub.task(Format.PARQUET))
    assert now.records == 2
    kept = hub.exports.snapshot(old.key)
    assert kept is not None
    assert hub.content(kept) == before
    assert pq.read_table(pa.BufferReader(before)).num_rows == 1


def test_what_was_published_while_a_task_waited_is_in_the_file(hub: Hub) -> None:
    hub.publish(mark(10))
    asked = hub.task()
    hub.exports.ask(asked)
    hub.publish(mark(11))
    hub.drain()
    found = hub.exports.snapshot(asked.key)
    assert found is not None
    assert (found.records, found.place) == (2, hub.task().place)


def test_the_id_of_a_table_tells_its_reader_and_not_how_many_views_there_are(hub: Hub) -> None:
    def named(task: Task) -> object:
        return delta.metadata(task)["metaData"]["id"]  # type: ignore[index]

    task = hub.task(Format.PARQUET)
    elsewhere = replace(task.place, space=task.place.space + 1)
    assert named(replace(task, place=elsewhere)) == named(task)
    for other in (replace(task.place, view="ab"), replace(task.place, mask=1)):
        assert named(replace(task, place=other)) != named(task)


def test_a_builder_that_is_killed_leaves_no_torn_file_and_the_task(
    hub: Hub, tmp_path: Path
) -> None:
    hub.publish(mark(10))
    task = hub.task()
    hub.exports.ask(task)
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from connectors.exports import builder, compression\n"
        "from connectors.exports.store import ExportStore\n"
        "def die(self): os.kill(os.getpid(), signal.SIGKILL)\n"
        "compression.Compressor.finish = die\n"
        "builder.drain(Path(sys.argv[1]), ExportStore(Path(sys.argv[2])), Path(sys.argv[3]))\n"
    )
    paths = (hub.serving.path, hub.exports.root, hub.receipts)
    command = [sys.executable, "-c", program, *map(str, paths)]
    died = subprocess.run(command, check=False)
    assert died.returncode == -signal.SIGKILL
    assert hub.exports.snapshot(task.key) is None
    assert hub.exports.state(task.key) == "IN_PROGRESS"
    assert len(list((hub.exports.root / "work").iterdir())) == 1
    hub.drain()
    assert hub.exports.state(task.key) == "COMPLETED"
    assert list((hub.exports.root / "work").iterdir()) == []


def test_a_task_that_fails_is_told_and_does_not_stop_the_others(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish(mark(10))
    bad, good = hub.task(Format.PARQUET), hub.task(Format.CSV)
    hub.exports.ask(bad)
    hub.exports.ask(good)

    left: list[Path] = []

    def fail_first(made: Any, kind: str) -> Any:
        if left:
            return file_digest(made, kind)
        left.append(Path(made.name))
        raise OSError("secret of the disk")

    def look(*_: object) -> dict[str, int]:
        assert not left[0].exists()  # it may have filled the disk that this one needs
        return {}

    monkeypatch.setattr(builder, "file_digest", fail_first)
    monkeypatch.setattr(builder, "keep_contents", look)
    assert hub.drain() == 1
    assert [hub.exports.state(task.key) for task in (bad, good)] == ["FAILED", "COMPLETED"]
    monkeypatch.undo()
    hub.prepare(bad)  # asking again tries again


def test_a_task_from_before_a_rebuild_is_not_filled_with_others_records(hub: Hub) -> None:
    hub.publish(mark(10))
    now = hub.task()
    other = replace(now.place, view="00")
    for old in (replace(now, office="TH"), replace(now, place=other)):
        hub.exports.ask(old)
        assert hub.drain() == 0
        assert hub.exports.state(old.key) == "FAILED"


def test_a_task_that_takes_the_builder_down_is_given_up(hub: Hub) -> None:
    hub.publish(mark(10))
    task = hub.task()
    hub.exports.ask(task)
    for _ in range(store.MAX_ATTEMPTS):
        assert hub.exports.next() == task
    assert hub.exports.next() is None
    assert hub.exports.state(task.key) == "FAILED"


def test_one_builder_works_at_a_time(hub: Hub) -> None:
    with hub.exports.builder() as first, hub.exports.builder() as second:
        assert (first, second) == (True, False)


def test_old_files_go_and_so_do_the_oldest_when_there_is_too_much(hub: Hub) -> None:
    hub.publish(mark(10))
    made = [hub.prepare(hub.task(kind)) for kind in (Format.CSV, Format.XML)]
    now = made[-1].at
    assert hub.exports.prune(now) == 0
    assert hub.exports.prune(now, budget=made[1].bytes) == made[0].bytes
    assert hub.exports.state(hub.task(Format.CSV).key) is None
    assert hub.exports.state(hub.task(Format.XML).key) == "COMPLETED"
    assert hub.exports.prune(now + RETENTION * 2) == made[1].bytes
    assert list((hub.exports.files).iterdir()) == []


@pytest.mark.parametrize(
    ("office", "right", "is_of_it"),
    [("KH", TM, True), ("TH", TM, False), ("KH", Right.PATENTS, False)],
)
def test_what_an_office_takes_back_is_in_no_file_made_before(
    hub: Hub, office: str, right: Right, is_of_it: bool
) -> None:
    hub.publish(mark(10))
    ready, begun = hub.task(Format.CSV), hub.task(Format.NDJSON)
    like = hub.prepare(ready)
    assert hub.exports.ask(begun)
    assert hub.exports.next() == begun
    made = hub.exports.work_file()
    made.write_bytes(b"as it was before")
    hub.exports.take_back(office, right)
    hub.exports.finish(begun, made, replace(like, kind=Format.NDJSON, sha256="0" * 64))
    assert (hub.exports.snapshot(ready.key) is None) is is_of_it
    assert (hub.exports.snapshot(begun.key) is None) is is_of_it
    assert hub.exports.has_waiting() is is_of_it
    hub.drain()
    anew = hub.exports.snapshot(begun.key)
    assert anew is not None
    assert (hub.content(anew) == b"as it was before") is not is_of_it


def test_a_file_that_somebody_removed_is_not_ready(hub: Hub) -> None:
    hub.publish(mark(10))
    made = hub.prepare(hub.task())
    (hub.exports.files / made.file).unlink()
    assert hub.exports.snapshot(hub.task().key) is None
    assert hub.prepare(hub.task()).sha256 == made.sha256


def test_nobody_prunes_under_a_builder_at_work(hub: Hub) -> None:
    hub.publish(mark(10))
    made = hub.prepare(hub.task(Format.CSV))
    later = made.at + RETENTION * 2
    with hub.exports.builder():
        assert hub.exports.maintain(later) == 0
    assert hub.exports.maintain(later) == made.bytes


def test_one_client_does_not_fill_the_queue(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_WAITING_EACH", 2)
    hub.publish(mark(10))
    wanted = [hub.task(q=f"word {number}") for number in range(4)]
    assert [hub.exports.ask(task, "greedy") for task in wanted[:3]] == [True, True, False]
    assert hub.exports.ask(wanted[0], "greedy")  # waits already
    assert hub.exports.ask(wanted[2], "other")
    assert hub.exports.ask(wanted[3])  # the hub's own: tables of Delta Sharing
    hub.drain()
    assert hub.exports.ask(hub.task(q="more"), "greedy")


def test_nobody_waits_for_all_that_another_wants(hub: Hub) -> None:
    hub.publish(mark(10))
    one, two, three, first, own = (hub.task(q=f"word {number}") for number in range(5))
    for task in (one, two, three):
        hub.exports.ask(task, "greedy")
    hub.exports.ask(two, "late")
    hub.exports.ask(first, "late")
    hub.exports.ask(own)
    done = []
    while (task := hub.exports.next()) is not None:
        done.append(task)
        hub.exports.give_up(task, "done")
    assert done == [one, two, own, three, first]


def test_the_queue_has_an_end(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_WAITING", 1)
    hub.publish(mark(10))
    assert hub.exports.ask(hub.task(Format.CSV))
    assert hub.exports.ask(hub.task(Format.CSV))
    assert not hub.exports.ask(hub.task(Format.XML))


def test_the_log_names_what_of_the_prepared_files_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("as where a folder belongs to another user")
    with pytest.raises(StoreError, match=f"cannot be written: .*{tmp_path}/exports"):
        ExportStore(tmp_path / "exports").cancel("a", "b", dt.datetime.now(dt.UTC))
