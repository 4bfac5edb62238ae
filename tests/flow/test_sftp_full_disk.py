"""No room left where files land: nothing torn, a clear word, and it goes on by itself."""

import hashlib
import os
import random
import resource
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from connectors.collection.collector import Collector
from connectors.landing import Landing
from connectors.readers.archives import prove_complete
from connectors.sftp.server import make_lanes
from connectors.sftp.session import Address, Login
from connectors.sftp.source import open_source
from ipregister.deliveries import State
from ipregister.profiles import load_profile

SMALL_DISK = 1 << 20


@contextmanager
def no_room(path):
    """Mount a disk of 1 MiB at ``path``; where we may not, limit the size of files instead."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(path)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    if mounted:
        try:
            yield
        finally:
            subprocess.run(["umount", str(path)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [2 << 20, 200_000], ids=["one large file", "many small ones"])
def test_a_full_disk_leaves_nothing_torn_and_collecting_recovers(
    openssh, tmp_path, intake, zipped, size
):
    make_lanes(tmp_path / "tree" / "ipob_kh")
    lane = tmp_path / "tree" / "ipob_kh" / "Trademarks" / "Updates"
    digests = set()
    for number in range(1 if size > SMALL_DISK else 10):
        data = zipped("a.xml", filling=random.Random(number).randbytes(size))
        (lane / f"{number}.zip").write_bytes(data)
        (lane / f"{number}.zip.done").touch()
        digests.add(hashlib.sha256(data).hexdigest())

    @contextmanager
    def connection(office, budget):
        address = Address("127.0.0.1", openssh.port, openssh.user, str(tmp_path / "tree"))
        with open_source(address, Login(openssh.key), known_hosts=openssh.known_hosts) as source:
            yield source

    landing = Landing(tmp_path / "disk")
    intake.collector = Collector(intake.ledger, landing, load_profile, prove_complete)
    with no_room(landing.root):
        report = intake.visits(connection).one("KH", at=intake.now)
        assert "the landing zone cannot be written" in report.error
        assert "make room" in report.error
        # Our own trouble is no reason to leave the office alone.
        assert intake.ledger.contacts.get("KH").is_due(intake.now)
        assert list(landing.root.glob(".*")) == []
        for path in landing.root.glob("*/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    shutil.rmtree(landing.root)
    report = intake.visits(connection).one("KH", at=intake.later(minutes=1))
    assert report.error is None
    assert {delivery.state for delivery in intake.ledger.deliveries.list()} == {State.RECEIVED}
    assert {path.name for path in landing.root.glob("*/*")} == digests
