"""Collecting from OpenSSH's own server: what it sends, what uploaders leave, what must wait."""

import hashlib
import os
import random
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.sftp.downloads import fetch
from connectors.sftp.keys import key_pair, public_line
from connectors.sftp.listing import walk
from connectors.sftp.server import make_lanes
from connectors.sftp.session import Address, Login, connect
from connectors.sftp.source import open_source
from ipregister.deliveries import State
from ipregister.errors import (
    ConfigurationError,
    IncompleteDelivery,
    OfficeRefused,
    OfficeUnreachable,
)

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
    def connection(office="KH"):
        address = Address("127.0.0.1", openssh.port, openssh.user, str(tree))
        with open_source(address, Login(openssh.key), known_hosts=openssh.known_hosts) as source:
            yield source

    return connection


@pytest.fixture
def wire(openssh):
    address = Address("127.0.0.1", openssh.port, openssh.user)
    with connect(address, Login(openssh.key), known_hosts=openssh.known_hosts) as wire:
        yield wire


@pytest.fixture
def collect(opened, intake):
    def once(*, wait=True, **span):
        intake.later(**(span or {"minutes": 1}))
        with opened() as source:
            return intake.collector.collect(source, "KH", at=intake.now, wait=wait)

    return once


def states(intake):
    return {delivery.deliveryId: delivery.state for delivery in intake.ledger.deliveries.list()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_server_says_its_limits(wire):
    assert wire.limits.read_bytes == 261_120
    assert wire.limits.open_handles > 0


def test_a_large_file_arrives_whole_with_the_right_digest(wire, tmp_path):
    data = random.Random(1).randbytes(30_000_000)
    (tmp_path / "large.bin").write_bytes(data)
    (download,) = _read(wire, walk(wire, str(tmp_path)).files)
    assert download == sha256(data)


def test_a_download_goes_on_where_it_was_interrupted(wire, tmp_path):
    data = random.Random(2).randbytes(1_000_000)
    (tmp_path / "large.bin").write_bytes(data)
    files = walk(wire, str(tmp_path)).files
    downloads = fetch(wire, files, start=600_001)
    assert next(downloads).read() == data[600_001:]
    assert next(downloads, None) is None


def test_many_small_files_come_in_order_and_whole(wire, tmp_path):
    expected = {}
    for number in range(300):
        path = tmp_path / f"{number:04d}.bin"
        data = random.Random(number).randbytes(number * 7)
        path.write_bytes(data)
        expected[str(path)] = sha256(data)
    files = walk(wire, str(tmp_path)).files
    assert [file.path for file in files] == sorted(expected)
    assert _read(wire, files) == [expected[file.path] for file in files]


def test_files_left_unread_do_not_disturb_the_next_ones(wire, tmp_path):
    for number in range(100):
        (tmp_path / f"{number:03d}").write_bytes(bytes([number]) * 300_000)
    files = walk(wire, str(tmp_path)).files
    first = [download.read(10) for download in fetch(wire, files)]
    assert first == [bytes([number]) * 10 for number in range(100)]
    for download in fetch(wire, files):
        assert download.read(1) == b"\0"
        break
    assert _read(wire, files[-1:]) == [sha256(bytes([99]) * 300_000)]


def test_a_deep_and_wide_tree_is_listed_completely(wire, tmp_path):
    expected = set()
    for folder in range(150):
        place = tmp_path / f"{folder % 5}" / f"{folder}" / "ATTACHMENT"
        place.mkdir(parents=True)
        for number in range(3):
            (place / f"{number}.jpg").write_bytes(b"x")
            expected.add(str(place / f"{number}.jpg"))
    wide = tmp_path / "wide"
    wide.mkdir()
    for number in range(450):
        (wide / f"{number}.xml").write_bytes(b"")
        expected.add(str(wide / f"{number}.xml"))
    assert {file.path for file in walk(wire, str(tmp_path)).files} == expected


def test_a_folder_that_is_not_there_is_said_so(wire, tmp_path):
    with pytest.raises(IncompleteDelivery, match="no longer there"):
        walk(wire, str(tmp_path / "nowhere"))


@pytest.mark.parametrize("change", ["grow", "shrink", "remove", "replace"])
def test_a_file_that_changed_after_the_listing_is_refused(wire, tmp_path, change):
    path = tmp_path / "a.zip"
    path.write_bytes(b"x" * 1000)
    (tmp_path / "b.zip").write_bytes(b"y" * 1000)
    files = walk(wire, str(tmp_path)).files
    match change:
        case "grow":
            path.write_bytes(b"x" * 1001)
        case "shrink":
            path.write_bytes(b"x" * 999)
        case "remove":
            path.unlink()
        case "replace":
            path.write_bytes(b"z" * 1000)
            os.utime(path, (1, 1))
    downloads = fetch(wire, files)
    with pytest.raises(IncompleteDelivery):
        next(downloads).read()
    assert next(downloads).read() == b"y" * 1000
    assert next(downloads, None) is None


def test_an_unknown_host_key_is_refused_and_named(openssh, tmp_path):
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(OfficeRefused, match=r"shows the host key ssh-ed25519 SHA256:") as caught:
        _log_in(openssh, known_hosts=tmp_path / "known_hosts")
    assert caught.value.code == "office_refused"


def test_a_changed_host_key_is_refused_naming_both(openssh, tmp_path):
    other = key_pair(tmp_path / "other")
    pinned = tmp_path / "known_hosts"
    pinned.write_text(f"[127.0.0.1]:{openssh.port} {public_line(other)}\n")
    with pytest.raises(OfficeRefused) as caught:
        _log_in(openssh, known_hosts=pinned)
    offered = openssh.known_hosts.read_text().split()[2]
    assert f"expected ssh-ed25519 {other.fingerprint}" in caught.value.detail
    assert _fingerprint(offered) in caught.value.detail


def test_a_key_that_may_not_log_in_is_refused(openssh, tmp_path):
    key_pair(tmp_path / "stranger")
    with pytest.raises(OfficeRefused, match="refused the login"):
        _log_in(openssh, key=tmp_path / "stranger")


def test_a_weak_key_of_ours_is_not_used(openssh, tmp_path):
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        "rsa",
        "-b",
        "2048",
        "-N",
        "",
        "-f",
        str(tmp_path / "weak"),
    ]
    subprocess.run(command, check=True)
    with pytest.raises(ConfigurationError, match="at least 3072"):
        _log_in(openssh, key=tmp_path / "weak")


@pytest.mark.parametrize("kind", [("rsa", "3072"), ("ecdsa", "256")])
def test_the_other_kinds_of_key_log_in(openssh, tmp_path, kind):
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        kind[0],
        "-b",
        kind[1],
        "-N",
        "",
        "-f",
        str(tmp_path / "key"),
    ]
    subprocess.run(command, check=True)
    allowed = openssh.root / "client_key.pub"
    before = allowed.read_text()
    try:
        allowed.write_text(before + (tmp_path / "key.pub").read_text())
        _log_in(openssh, key=tmp_path / "key")
    finally:
        allowed.write_text(before)


def test_a_server_that_is_not_there_is_unreachable(openssh):
    address = Address("127.0.0.1", 1, openssh.user)
    with (
        pytest.raises(OfficeUnreachable) as caught,
        connect(address, Login(openssh.key), known_hosts=openssh.known_hosts),
    ):
        pass
    assert caught.value.retryable


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
    assert intake.ledger.deliveries.waiting("KH") == []

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
    def connection(office):
        if office == "KH":
            raise OfficeUnreachable("no route to the office")
        with opened() as source:
            yield source

    reports = intake.collector.collect_each(
        ["KH", "LA", "TH"], connection, at=intake.now, wait=True
    )
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


def test_the_hub_writes_nothing_at_the_office(openssh_logging, tree, updates, intake, zipped):
    server = openssh_logging
    (updates / "a.zip").write_bytes(zipped("a.xml"))
    address = Address("127.0.0.1", server.port, server.user, str(tree))
    with open_source(address, Login(server.key), known_hosts=server.known_hosts) as source:
        report = intake.collector.collect(source, "KH", at=intake.now, wait=True)
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


def _read(wire, files):
    digests = []
    for download in fetch(wire, files):
        while download.read(1 << 20):
            pass
        digests.append(download.sha256.hexdigest())
    return digests


def _log_in(openssh, *, key=None, known_hosts=None):
    address = Address("127.0.0.1", openssh.port, openssh.user)
    login = Login(key or openssh.key)
    with connect(address, login, known_hosts=known_hosts or openssh.known_hosts):
        pass


def _fingerprint(base64_key: str) -> str:
    line = f"ssh-ed25519 {base64_key}\n"
    command = ["ssh-keygen", "-l", "-f", "/dev/stdin"]
    return subprocess.run(
        command, input=line, text=True, capture_output=True, check=True
    ).stdout.split()[1]


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
