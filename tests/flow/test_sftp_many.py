"""Very many files, very deep folders and very odd names on OpenSSH's server."""

import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.sftp.listing import MAX_DEPTH, walk
from connectors.sftp.server import make_lanes
from connectors.sftp.session import Address, Login, connect
from connectors.sftp.source import open_source
from ipregister.deliveries import State

MANY = 100_000
MANY_TAKEN = 5_000
MEGABYTE = 1 << 20


@pytest.fixture
def wire(openssh):
    address = Address("127.0.0.1", openssh.port, openssh.user)
    with connect(address, Login(openssh.key), known_hosts=openssh.known_hosts) as wire:
        yield wire


def make_files(folder: Path, count: int) -> None:
    """Make empty files quickly; links to one file would do, but not on every file system."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    for number in range(count):
        os.close(os.open(f"{number:06d}.xml", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)


def test_a_hundred_thousand_files_are_listed_in_bounded_memory(wire, tmp_path):
    for part in range(10):
        make_files(tmp_path / "tree" / str(part), MANY // 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    listing = walk(wire, str(tmp_path / "tree"))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert (len(listing.files), listing.problems) == (MANY, [])
    assert grown < 100 * MEGABYTE


def test_a_folder_of_very_many_files_becomes_one_delivery(openssh, tmp_path, intake):
    make_lanes(tmp_path / "ipob_kh")
    folder = tmp_path / "ipob_kh" / "Trademarks" / "Full_Extraction" / "20261121"
    make_files(folder, MANY_TAKEN)
    for path in list(folder.iterdir())[:20]:
        path.write_text(f"<T>{path.name}</T>")

    @contextmanager
    def connection(office, budget):
        address = Address("127.0.0.1", openssh.port, openssh.user, str(tmp_path))
        with open_source(address, Login(openssh.key), known_hosts=openssh.known_hosts) as source:
            yield source

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = intake.visits(connection).one("KH", at=intake.now, wait=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    (delivery,) = report.deliveries
    assert (len(delivery.files), delivery.state) == (MANY_TAKEN, State.INCOMPLETE)
    assert grown < 100 * MEGABYTE


def test_a_tree_of_ten_levels_is_listed_and_one_without_end_is_given_up(wire, tmp_path):
    deep = tmp_path / "tree" / "/".join("abcdefghij")
    deep.mkdir(parents=True)
    (deep / "leaf.xml").touch()
    endless = tmp_path / "tree" / "/".join(["x"] * (MAX_DEPTH + 3))
    endless.mkdir(parents=True)
    (endless / "never.xml").touch()
    listing = walk(wire, str(tmp_path / "tree"))
    assert [file.path for file in listing.files] == [str(deep / "leaf.xml")]
    (problem,) = listing.problems
    assert "folders deep" in problem.reason


def test_a_path_longer_than_the_server_can_open_does_not_stop_the_others(wire, tmp_path):
    """Made step by step, as a program at the office can; no single path may be that long."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "fine.xml").touch()
    here = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("l" * 250, dir_fd=here)
        below = os.open("l" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("lost.xml", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    # OpenSSH leaves out what it cannot stat itself; another server may answer with an error.
    listing = walk(wire, str(tmp_path / "tree"))
    assert [file.path for file in listing.files] == [str(tmp_path / "tree" / "fine.xml")]
