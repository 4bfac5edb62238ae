"""What the collector takes from a real OpenSSH server, and what it leaves alone."""

import hashlib
import os
import random
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from connectors.collection.collector import Collector
from connectors.readers.archives import prove_complete
from connectors.sftp.server import make_lanes
from connectors.sftp.session import Address, Login
from connectors.sftp.source import open_source
from ipregister.deliveries import State
from ipregister.errors import (
    OfficeUnreachable,
)
from ipregister.profiles import load_profile

DAY = "20261121"


@pytest.fixture
def tree(tmp_path):
    """Two offices' folders."""
    make_lanes(tmp_path / "tree" / "ipob_kh")
    make_lanes(tmp_path / "tree" / "ipob_th")
    return tmp_path / "tree"


@pytest.fixture
def updates(tree):
    return tree / "ipob_kh" / "Trademarks" / "Updates"


@pytest.fixture
def opened(openssh, tree):
    @contextmanager
    def connection(office="KH", budget=None):
        address = Address("127.0.0.1", openssh.port, openssh.user, str(tree))
        with open_source(address, Login(openssh.key), known_hosts=openssh.known_hosts) as source:
            yield source

    return connection


@pytest.fixture
def collect(opened, intake):
    def once(*, wait=True, **span):
        intake.later(**(span or {"minutes": 1}))
        report = intake.visits(opened).one("KH", at=intake.now, wait=wait)
        assert report.error is None
        return report

    return once


def states(intake):
    return {delivery.deliveryId: delivery.state for delivery in intake.ledger.deliveries.list()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_delivery_is_collected_once(updates, collect, intake, zipped):
    data = zipped("a.xml")
    (updates / f"KH_{DAY}.zip").write_bytes(data)
    (delivery,) = collect().deliveries
    assert (delivery.office, delivery.right, delivery.kind) == ("KH", "trademarks", "update")
    assert (delivery.state, delivery.channel) == (State.RECEIVED, "sftp")
    assert [(file.name, file.sha256) for file in delivery.files] == [
        (f"KH_{DAY}.zip", sha256(data))
    ]
    assert intake.landing.path(sha256(data)).read_bytes() == data
    assert intake.slept == [2.0]
    assert collect().deliveries == []
    assert states(intake) == {delivery.deliveryId: State.RECEIVED}


def test_nothing_is_taken_before_it_was_quiet(updates, collect, intake, zipped):
    (updates / f"KH_{DAY}.zip").write_bytes(zipped("a.xml"))
    report = collect(wait=False)
    assert (report.deliveries, [waiting.seconds for waiting in report.waiting]) == ([], [2.0])
    assert not intake.landing.root.exists()
    (delivery,) = collect(wait=False, seconds=2).deliveries
    assert delivery.state is State.RECEIVED


def test_ten_parts_are_one_delivery_and_a_late_part_makes_a_new_one_of_all(
    updates, collect, intake, zipped
):
    lane = updates.parent / "Full_Extraction"
    for part in range(9):
        (lane / f"KH_FULL_{DAY}_{part}.zip").write_bytes(zipped(f"{part}.xml"))
    (first,) = collect().deliveries
    assert len(first.files) == 9
    (lane / f"KH_FULL_{DAY}_9.zip").write_bytes(zipped("9.xml"))
    (second,) = collect().deliveries
    assert len(second.files) == 10
    assert second.identity != first.identity
    (lane / f"KH_FULL_{DAY}_3.zip").unlink()
    assert collect().deliveries == []


def test_same_name_new_content_is_a_new_delivery(updates, collect, zipped):
    path = updates / "changes.zip"
    path.write_bytes(zipped("a.xml"))
    (first,) = collect().deliveries
    path.write_bytes(zipped("b.xml", "c.xml"))
    (second,) = collect().deliveries
    assert (first.state, second.state) == (State.RECEIVED, State.RECEIVED)
    assert first.deliveryId != second.deliveryId


def test_a_day_in_the_future_is_no_day_of_the_office(updates, collect, zipped):
    for number, name in enumerate(("KH_20991231.zip", "20991231/KH.zip", f"KH_{DAY}.zip")):
        (updates / name).parent.mkdir(exist_ok=True)
        (updates / name).write_bytes(zipped(f"{number}.xml"))
    days = {each.files[0].name: each.officeDate for each in collect().deliveries}
    assert days.pop(f"KH_{DAY}.zip") == date(2026, 11, 21)
    assert set(days.values()) == {None}


def test_eight_digits_that_are_no_day_stop_nobody(opened, tree, intake, zipped):
    """The mask of the Philippines finds its day by place."""
    make_lanes(tree / "ipob_ph")
    name = "PH_Trademarks_WIPO_20261001_000000_20261399_000000.zip"
    (tree / "ipob_ph" / "Trademarks" / "Updates" / name).write_bytes(zipped("a.xml"))
    collector = Collector(intake.ledger, intake.landing, load_profile, prove_complete)
    visits = replace(intake, collector=collector).visits(opened)
    report = visits.one("PH", at=intake.now, wait=True)
    assert [delivery.officeDate for delivery in report.deliveries] == [date(2026, 10, 1)]


def test_same_content_new_name_is_a_duplicate(updates, collect, zipped):
    (updates / "a.zip").write_bytes(zipped("a.xml"))
    (first,) = collect().deliveries
    (updates / "b.zip").write_bytes(zipped("a.xml"))
    (second,) = collect().deliveries
    assert second.state is State.DUPLICATE
    assert first.deliveryId in (second.reason or "")


def test_the_same_file_uploaded_again_is_a_duplicate(updates, collect, zipped):
    (updates / "a.zip").write_bytes(zipped("a.xml"))
    os.utime(updates / "a.zip", (1_600_000_000, 1_600_000_000))
    (first,) = collect().deliveries
    os.utime(updates / "a.zip", (1_700_000_000, 1_700_000_000))
    (second,) = collect().deliveries
    assert (first.state, second.state) == (State.RECEIVED, State.DUPLICATE)


def test_a_preserved_old_time_does_not_hide_a_file(openssh, updates, collect, tmp_path, zipped):
    source = tmp_path / "old.zip"
    source.write_bytes(zipped("a.xml"))
    os.utime(source, (1_592_352_000, 1_592_352_000))
    assert len(collect().deliveries) == 0
    _upload(openssh, source, updates / "old.zip", "-p")
    assert (updates / "old.zip").stat().st_mtime == 1_592_352_000
    assert [delivery.state for delivery in collect().deliveries] == [State.RECEIVED]


def test_a_killed_upload_stays_incomplete_until_it_is_uploaded_again(
    openssh, updates, collect, intake, tmp_path, zipped
):
    source = tmp_path / "source.zip"
    source.write_bytes(zipped("a.xml", filling=random.Random(3).randbytes(8_000_000)))
    _kill_upload(openssh, source, updates / f"KH_{DAY}.zip")
    (cut,) = collect().deliveries
    assert cut.state is State.INCOMPLETE
    assert f"KH_{DAY}.zip is not complete" in (cut.reason or "")
    (same,) = collect(days=7).deliveries
    assert same == cut
    assert intake.ledger.leases.waiting("KH") == []

    _upload(openssh, source, updates / f"KH_{DAY}.zip")
    (whole,) = collect().deliveries
    assert whole.state is State.RECEIVED
    assert states(intake) == {
        cut.deliveryId: State.WITHDRAWN,
        whole.deliveryId: State.RECEIVED,
    }
    assert collect().deliveries == []


def test_the_same_stump_uploaded_again_is_still_the_same_incomplete_delivery(
    updates, collect, intake, zipped
):
    path = updates / f"KH_{DAY}.zip"
    path.write_bytes(zipped("a.xml")[:-20])
    os.utime(path, (1_600_000_000, 1_600_000_000))
    (first,) = collect().deliveries
    os.utime(path, (1_700_000_000, 1_700_000_000))
    (second,) = collect().deliveries
    assert second == first
    assert states(intake) == {first.deliveryId: State.INCOMPLETE}


def test_files_of_one_name_in_two_spellings_of_a_lane_are_told_apart(updates, collect, zipped):
    for folder in (updates, updates.with_name("Update")):
        folder.mkdir(exist_ok=True)
        (folder / f"KH_{DAY}.zip").write_bytes(zipped(f"{folder.name}.xml"))
    (delivery,) = collect().deliveries
    assert [file.name for file in delivery.files] == [f"KH_{DAY}.zip", f"KH_{DAY} (2).zip"]


def test_an_upload_that_never_got_its_name_is_said(updates, collect, zipped):
    stump = updates / f"KH_{DAY}.zip.filepart"
    stump.write_bytes(zipped("a.xml")[:40])
    report = collect()
    assert (report.deliveries, report.quarantined) == ([], [])
    assert [waiting.reason for waiting in report.waiting] == [
        f"{stump.name} is still being uploaded"
    ]
    stump.write_bytes(zipped("a.xml")[:60])
    assert len(collect(minutes=59).waiting) == 1
    report = collect(hours=1)
    assert (report.deliveries, report.waiting) == ([], [])
    (problem,) = report.quarantined
    assert problem.path == f"Trademarks/Updates/{stump.name}"
    assert "upload the file again" in problem.reason
    stump.rename(updates / f"KH_{DAY}.zip")
    assert [delivery.state for delivery in collect().deliveries] == [State.INCOMPLETE]


def test_a_wrong_checksum_holds_the_delivery_until_it_is_corrected(updates, collect, zipped):
    data = zipped("a.xml")
    (updates / f"KH_{DAY}.zip").write_bytes(data)
    (updates / f"KH_{DAY}.zip.md5").write_text("0" * 32)
    (cut,) = collect().deliveries
    assert cut.state is State.INCOMPLETE
    assert "checksum" in (cut.reason or "")
    right = hashlib.md5(data, usedforsecurity=False).hexdigest()
    (updates / f"KH_{DAY}.zip.md5").write_text(f"{right}  KH_{DAY}.zip\n")
    (whole,) = collect().deliveries
    assert (whole.deliveryId, whole.state) == (cut.deliveryId, State.RECEIVED)


def test_a_manifest_completes_at_once_but_only_with_all_it_names(updates, collect, intake, zipped):
    lane = updates.parent / "Full_Extraction"
    (lane / f"F_{DAY}_1.zip").write_bytes(zipped("1.xml"))
    (lane / "manifest.txt").write_text(f"F_{DAY}_1.zip\nF_{DAY}_2.zip\n")
    report = collect(wait=False)
    assert report.deliveries == []
    assert f"f_{DAY}_2.zip" in report.waiting[0].reason
    (lane / f"F_{DAY}_2.zip").write_bytes(zipped("2.xml"))
    os.utime(lane / "manifest.txt")
    (delivery,) = collect(wait=False).deliveries
    assert (delivery.state, len(delivery.files)) == (State.RECEIVED, 2)
    assert intake.slept == []


def test_odd_names_are_reported_and_the_rest_goes_on(updates, collect, zipped):
    (updates / "good.zip").write_bytes(zipped("a.xml"))
    odd = [b"\xcb\xd2\xc2.zip", b"two\nlines.zip", "a\u202efdp.zip".encode()]
    for name in odd:
        (Path(os.fsdecode(os.fsencode(updates) + b"/" + name))).write_bytes(b"x")
    report = collect()
    assert [delivery.files[0].name for delivery in report.deliveries] == ["good.zip"]
    assert len(report.quarantined) == 3
    assert all(problem.path.isprintable() for problem in report.quarantined)


def test_a_folder_of_the_office_in_other_letters_is_said(tree, updates, collect, zipped):
    make_lanes(tree / "IPOB_KH")
    (tree / "IPOB_KH/Trademarks/Updates" / f"KH_{DAY}.zip").write_bytes(zipped("a.xml"))
    (updates / f"KH_{DAY}_2.zip").write_bytes(zipped("b.xml"))
    report = collect()
    assert [delivery.files[0].name for delivery in report.deliveries] == [f"KH_{DAY}_2.zip"]
    (odd,) = report.quarantined
    assert (odd.path, odd.reason) == (
        "../IPOB_KH",
        "this office's folder is ipob_kh; move what is in here there",
    )


def test_a_link_to_another_office_is_ignored_and_said(tree, updates, collect, zipped):
    foreign = tree / "ipob_th" / "Trademarks" / "Updates"
    (foreign / "th.zip").write_bytes(zipped("th.xml"))
    (updates / "th.zip").symlink_to(foreign / "th.zip")
    (updates / "theirs").symlink_to(foreign, target_is_directory=True)
    report = collect()
    assert report.deliveries == []
    assert {problem.reason for problem in report.quarantined} == {"a link is not followed"}


def test_one_office_in_trouble_does_not_stop_the_others(tree, opened, intake, zipped):
    for office in ("kh", "th"):
        (tree / f"ipob_{office}" / "Designs" / "Test" / "a.zip").write_bytes(
            zipped(f"{office}.xml")
        )

    @contextmanager
    def connection(office, budget):
        if office == "KH":
            raise OfficeUnreachable("no route to the office")
        with opened() as source:
            yield source

    visits = intake.visits(connection)
    reports = visits.all(["KH", "LA", "TH"], at=intake.now, wait=True)
    assert [report.error for report in reports] == [
        "no route to the office",
        "the server has no folder ipob_la",
        None,
    ]
    assert [delivery.kind for delivery in reports[2].deliveries] == ["test"]


def test_a_crash_between_ledger_and_memory_records_nothing_twice(
    updates, collect, intake, zipped, monkeypatch
):
    (updates / "a.zip").write_bytes(zipped("a.xml"))
    with monkeypatch.context() as patched:
        patched.setattr(intake.ledger.observations, "set_delivery", _crash)
        with pytest.raises(KeyboardInterrupt):
            collect()
    (delivery,) = collect().deliveries
    assert states(intake) == {delivery.deliveryId: State.RECEIVED}


def test_a_file_replaced_while_another_process_looks_is_taken_too(
    updates, collect, opened, intake, zipped, monkeypatch
):
    """What one process took of a file says nothing of the version another one saw since."""
    path, new = updates / "a.zip", zipped("a.xml", filling=b"new")
    path.write_bytes(zipped("a.xml"))
    record = intake.ledger.deliveries.record

    def meanwhile(*about, **more):
        monkeypatch.undo()
        path.write_bytes(new)
        intake.visits(opened).one("KH", at=intake.now, wait=False)
        return record(*about, **more)

    monkeypatch.setattr(intake.ledger.deliveries, "record", meanwhile)
    assert len(collect().deliveries) == 1
    (second,) = collect().deliveries
    assert (second.state, second.files[0].sha256) == (State.RECEIVED, sha256(new))
    assert collect().deliveries == []


@pytest.mark.parametrize("first", ["wrong", "right"])
def test_what_two_processes_take_is_not_incomplete_when_its_checksum_is_right(
    first, updates, collect, opened, intake, zipped, monkeypatch
):
    """One of them has read the wrong checksum, and perhaps the other one the right one."""
    data, record = zipped("a.xml"), intake.ledger.deliveries.record
    texts = {"wrong": "0" * 32, "right": hashlib.md5(data, usedforsecurity=False).hexdigest()}
    checksum = updates / f"KH_{DAY}.zip.md5"
    (updates / f"KH_{DAY}.zip").write_bytes(data)
    checksum.write_text(texts[first])

    def meanwhile(*about, **more):
        monkeypatch.undo()
        checksum.write_text(texts["wrong"])
        intake.visits(opened).one("KH", at=intake.now + timedelta(minutes=1), wait=True)
        return record(*about, **more)

    monkeypatch.setattr(intake.ledger.deliveries, "record", meanwhile)
    collect()
    checksum.write_text(texts["right"])
    collect(minutes=5)
    assert sorted(states(intake).values()) == [State.DUPLICATE, State.RECEIVED]
    assert collect().deliveries == []


def test_the_hub_writes_nothing_at_the_office(openssh_logging, tree, updates, intake, zipped):
    server = openssh_logging
    (updates / "a.zip").write_bytes(zipped("a.xml"))
    address = Address("127.0.0.1", server.port, server.user, str(tree))
    with open_source(address, Login(server.key), known_hosts=server.known_hosts) as source:
        intake.collector.collect(source, "KH", at=intake.now)
        report = intake.collector.collect(source, "KH", at=intake.later(seconds=2))
    assert len(report.deliveries) == 1
    operations = {line.split()[0] for line in server.requests if not line.startswith("debug")}
    assert "open" in operations
    assert operations <= {
        "session",
        "received",
        "realpath",
        "opendir",
        "closedir",
        "open",
        "close",
        "sent",
    }
    assert all(" flags READ " in line for line in server.requests if line.startswith("open "))


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def _upload(openssh, source, target, *options):
    batch = f'put {" ".join(options)} "{source}" "{target}"\n'
    command = [*openssh.client("sftp", "-b", "-"), f"{openssh.user}@127.0.0.1"]
    subprocess.run(command, input=batch.encode(), capture_output=True, check=True)


def _kill_upload(openssh, source, target):
    """Begin an upload at 400 kB/s and kill the uploader once a part has arrived."""
    command = [*openssh.client("sftp", "-l", "3200", "-b", "-"), f"{openssh.user}@127.0.0.1"]
    upload = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    upload.stdin.write(f'put "{source}" "{target}"\n'.encode())
    upload.stdin.close()
    while not target.exists() or target.stat().st_size < 100_000:
        time.sleep(0.01)
    upload.kill()
    upload.wait()
    assert 0 < target.stat().st_size < source.stat().st_size
