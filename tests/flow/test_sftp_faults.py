"""Lines that break, stall and trickle between the hub and OpenSSH's server, and what survives."""

import hashlib
import itertools
import os
import random
import shutil
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest

from connectors.arriving import OVERLAP_BYTES
from connectors.collection.pacing import Patience
from connectors.sftp.server import make_lanes
from connectors.sftp.session import Address, Login
from connectors.sftp.source import open_source
from ipregister.deliveries import State

DAY = "20261121"
BOUNDARY = 64 << 10
SECONDS = itertools.count(1_700_000_000)
IMPATIENT = Patience(answer_seconds=0.5, pass_seconds=20, pauses=())


@pytest.fixture
def tree(tmp_path):
    for office in ("kh", "th"):
        make_lanes(tmp_path / "tree" / f"ipob_{office}")
    return tmp_path / "tree"


@pytest.fixture
def updates(tree):
    return tree / "ipob_kh" / "Trademarks" / "Updates"


@pytest.fixture
def line(openssh, relays):
    """A relay before the server, without faults at first."""
    with relays.Relay(openssh.port) as relay:
        yield relay


@pytest.fixture
def reach(openssh, tree, tmp_path):
    """The function that makes a way to the server through a port."""

    def through(port, answer_seconds=5.0):
        known_hosts = tmp_path / f"known_hosts_{port}"
        pinned = openssh.known_hosts.read_text().replace(f":{openssh.port}", f":{port}")
        known_hosts.write_text(pinned)

        @contextmanager
        def connection(office, budget):
            address = Address("127.0.0.1", port, openssh.user, str(tree))
            with open_source(
                address,
                Login(openssh.key),
                known_hosts=known_hosts,
                timeout_seconds=answer_seconds,
                budget_seconds=budget.left,
            ) as source:
                yield source

        return connection

    return through


def large(zipped, size: int, seed: int = 1) -> bytes:
    return zipped("a.xml", filling=random.Random(seed).randbytes(size))


def place(lane, data: bytes, name: str = f"KH_{DAY}.zip") -> str:
    """Put a file there with its marker, so that it is taken at once; return its digest.

    Each is a second later than the one before: SFTP's times are whole seconds.
    """
    second = next(SECONDS)
    (lane / name).write_bytes(data)
    os.utime(lane / name, (second, second))
    (lane / f"{name}.done").touch()
    return hashlib.sha256(data).hexdigest()


def test_a_reset_at_any_boundary_is_gone_on_from(line, reach, updates, intake, zipped):
    size = 2 << 20
    for number, cut in enumerate(range(BOUNDARY, size + BOUNDARY, BOUNDARY)):
        data = large(zipped, size, seed=number)
        sha256 = place(updates, data)
        line.faults.reset_after, line.connections = [cut], 0
        report = intake.visits(reach(line.port)).one("KH", at=intake.later(minutes=1))
        (delivery,) = report.deliveries
        assert (report.error, delivery.state) == (None, State.RECEIVED)
        assert [file.sha256 for file in delivery.files] == [sha256]
        assert intake.landing.path(sha256).read_bytes() == data
        assert line.connections == 2
    assert set(intake.slept) == {1.0}
    assert list(intake.landing.root.glob(".*")) == []


def test_a_line_that_always_breaks_costs_some_attempts_and_the_next_visit_goes_on(
    line, reach, updates, intake, zipped
):
    data = large(zipped, 4 << 20)
    sha256 = place(updates, data)
    line.faults.reset_after = [600_000] * 100
    visits = intake.visits(reach(line.port))
    report = visits.one("KH", at=intake.now)
    assert "connection was lost" in report.error or "closed" in report.error
    assert (line.connections, intake.slept) == (4, [1.0, 5.0, 15.0])
    assert report.received > 0
    (waiting,) = report.waiting
    assert "is not here yet" in waiting.reason
    for _ in range(20):
        if (report := visits.one("KH", at=intake.later(hours=1))).deliveries:
            break
    assert [file.sha256 for file in report.deliveries[0].files] == [sha256]
    assert report.contact.failures == 0


def test_a_replaced_file_is_not_gone_on_with(line, reach, updates, intake, zipped):
    place(updates, large(zipped, 2 << 20, seed=1))
    line.faults.reset_after = [1 << 20]
    visits = intake.visits(reach(line.port), IMPATIENT)
    assert visits.one("KH", at=intake.now).error
    sha256 = place(updates, large(zipped, 2 << 20, seed=2))
    report = visits.one("KH", at=intake.later(minutes=5))
    assert [file.sha256 for file in report.deliveries[0].files] == [sha256]
    assert list(intake.landing.root.glob(".*")) == []


def test_small_files_that_came_before_the_line_broke_are_taken(
    line, reach, updates, intake, zipped
):
    place(updates, large(zipped, 2 << 20), f"large_{DAY}.zip")
    place(updates, zipped("small.xml"), f"small_{DAY}.zip")
    line.faults.reset_after = [1 << 20]
    report = intake.visits(reach(line.port), IMPATIENT).one("KH", at=intake.now)
    assert [delivery.files[0].name for delivery in report.deliveries] == [f"small_{DAY}.zip"]
    assert report.error


@pytest.mark.parametrize("stall_after", [0, 30, 2_000, 10_000, 500_000])
@pytest.mark.parametrize("bytes_per_second", [None, 1.0])
def test_a_server_that_stalls_or_trickles_holds_nobody_else_up(
    line, reach, tree, updates, intake, zipped, openssh, stall_after, bytes_per_second
):
    place(updates, large(zipped, 2 << 20))
    place(tree / "ipob_th" / "Trademarks" / "Updates", zipped("th.xml"), "TH.zip")
    line.faults.stall_after = stall_after
    line.faults.bytes_per_second = bytes_per_second
    ways = {"KH": reach(line.port, answer_seconds=0.5), "TH": reach(openssh.port)}
    done = threading.Event()

    @contextmanager
    def connection(office, budget):
        with ways[office](office, budget) as source:
            yield source
        done.set()

    visits = intake.visits(connection, IMPATIENT)
    stalled, fine = visits.all(["KH", "TH"], at=intake.now)
    assert (fine.error, len(fine.deliveries)) == (None, 1)
    assert stalled.error
    assert stalled.contact.nextAttemptAt > intake.now
    assert done.is_set()


def test_offices_are_visited_at_the_same_time(reach, openssh, tree, intake, zipped):
    """KH's server answers only once TH was collected, which would never be in a queue."""
    place(tree / "ipob_kh" / "Trademarks" / "Updates", zipped("kh.xml"), "KH.zip")
    place(tree / "ipob_th" / "Trademarks" / "Updates", zipped("th.xml"), "TH.zip")
    th_is_done = threading.Event()
    way = reach(openssh.port)

    @contextmanager
    def connection(office, budget):
        assert office == "TH" or th_is_done.wait(20)
        with way(office, budget) as source:
            yield source
        th_is_done.set()

    reports = intake.visits(connection).all(["KH", "TH"], at=intake.now)
    assert [(report.error, len(report.deliveries)) for report in reports] == [(None, 1)] * 2


def test_time_that_is_used_up_is_no_failure_and_the_next_visit_goes_on(
    reach, openssh, updates, intake, zipped
):
    data = large(zipped, 4 << 20)
    sha256 = place(updates, data)
    ticks = iter(range(10**6))
    visits = intake.visits(
        reach(openssh.port), Patience(pass_seconds=10), clock=lambda: float(next(ticks))
    )
    reports = [visits.one("KH", at=intake.later(minutes=1)) for _ in range(12)]
    assert [report.error for report in reports] == [None] * 12
    assert "the next one goes on from here" in reports[0].waiting[0].reason
    received = [report.received for report in reports if report.received]
    assert len(received) > 2
    assert max(received) < len(data) / 2
    delivered = [delivery for report in reports for delivery in report.deliveries]
    assert [file.sha256 for file in delivered[0].files] == [sha256]
    assert sum(received) < len(data) + len(received) * OVERLAP_BYTES + 100


def test_a_server_down_for_a_week_is_looked_at_ever_less_and_an_alarm_is_raised(
    line, reach, updates, intake, zipped
):
    place(updates, zipped("a.xml"))
    line.faults.refuse = True
    visits = intake.visits(reach(line.port), IMPATIENT)
    threads, alarms = threading.active_count(), []
    for _ in range(7 * 24 * 12):
        at = intake.later(minutes=5)
        (report,) = visits.all(["KH"], at=at)
        assert report.error
        alarms.append(report.contact.needs_person(at))
    # The first attempt was made, and failed, at the first of these instants.
    assert 24 * 12 <= alarms.index(True) <= 24 * 12 + 1
    assert all(alarms[alarms.index(True) :])
    assert 7 * 20 < line.connections < 7 * 24 + 10
    assert threading.active_count() <= threads + 1
    line.faults.refuse = False
    report = visits.one("KH", at=intake.later(hours=1))
    assert (report.error, len(report.deliveries)) == (None, 1)
    assert report.contact.failingSince is None
    assert report.document()["nextAttemptAt"] is None


def test_a_refused_login_is_left_to_a_person_who_may_insist(
    reach, openssh, updates, intake, zipped, tmp_path
):
    place(updates, zipped("a.xml"))
    way = reach(openssh.port)
    pinned = tmp_path / f"known_hosts_{openssh.port}"
    right = pinned.read_text()
    pinned.write_text("")
    visits = intake.visits(way)
    report = visits.one("KH", at=intake.now)
    assert "is unknown: it shows the host key" in report.error
    assert report.contact.needs_person(intake.now)
    assert report.contact.nextAttemptAt == intake.now + timedelta(hours=6) + _almost(report, intake)
    pinned.write_text(right)
    left_alone = visits.one("KH", at=intake.later(hours=5))
    assert (left_alone.visited, left_alone.error) == (False, report.error)
    insisted = visits.one("KH", at=intake.now, insist=True)
    assert (insisted.error, len(insisted.deliveries)) == (None, 1)
    assert visits.one("KH", at=intake.later(seconds=15)).visited


def _almost(report, intake):
    """Return the time the attempt itself took, which counts too."""
    return report.contact.failingSince - intake.now


def test_a_folder_that_vanishes_is_a_failure_and_nothing_is_taken_for_deleted(
    reach, openssh, tree, updates, intake, zipped
):
    place(updates, zipped("a.xml"))
    visits = intake.visits(reach(openssh.port))
    (delivery,) = visits.one("KH", at=intake.now).deliveries
    shutil.rmtree(tree / "ipob_kh")
    report = visits.one("KH", at=intake.later(minutes=1))
    assert report.error == "the server has no folder ipob_kh"
    assert not report.contact.refused
    make_lanes(tree / "ipob_kh")
    back = visits.one("KH", at=intake.later(minutes=2))
    assert (back.error, back.deliveries) == (None, [])
    assert [d.deliveryId for d in intake.ledger.deliveries.list()] == [delivery.deliveryId]


@pytest.mark.parametrize("change", ["grow", "shrink", "remove", "rename", "replace", "rewrite"])
def test_a_file_that_changes_while_it_is_read_lands_whole_or_not_at_all(
    line, reach, updates, intake, zipped, change
):
    old, new = large(zipped, 2 << 20, seed=1), large(zipped, 2 << 20, seed=2)
    path = updates / f"KH_{DAY}.zip"
    place(updates, old[: 1 << 20] if change == "grow" else old)
    allowed = {hashlib.sha256(data).hexdigest() for data in (old, new)}
    line.faults.stall_after = 300_000
    way = reach(line.port)

    def meddle():
        assert line.stalled.wait(10)
        match change:
            case "grow":
                with path.open("ab") as tail:
                    tail.write(old[1 << 20 :])
            case "shrink":
                os.truncate(path, 1 << 20)
            case "remove":
                path.unlink()
            case "rename":
                path.rename(updates / f"KH2_{DAY}.zip")
            case "replace":
                (updates / "new").write_bytes(new)
                (updates / "new").replace(path)
            case "rewrite":
                path.write_bytes(new)
        line.go_on()

    meddler = threading.Thread(target=meddle)
    meddler.start()
    visits = intake.visits(way)
    visits.one("KH", at=intake.now)
    meddler.join()
    for _ in range(3):
        report = visits.one("KH", at=intake.later(minutes=5))
        assert report.error is None
    stored = {path.name for path in intake.landing.root.glob("*/*")}
    received = [d for d in intake.ledger.deliveries.list() if d.state is State.RECEIVED]
    assert all({file.sha256 for file in d.files} <= allowed for d in received)
    assert list(intake.landing.root.glob(".*")) == []
    if change in ("replace", "rewrite"):
        assert hashlib.sha256(new).hexdigest() in stored
    if change == "rename":
        assert received  # under the one name or the other
