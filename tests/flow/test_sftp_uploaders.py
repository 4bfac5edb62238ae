"""What real uploaders leave on OpenSSH's server, whole or killed, and what the hub makes of it."""

import hashlib
import os
import random
import shutil
import subprocess
import time
from contextlib import contextmanager

import paramiko
import pytest

from connectors.sftp.server import make_lanes
from connectors.sftp.session import Address, Login
from connectors.sftp.source import open_source
from ipregister.deliveries import State

DAY = "20261121"
NAME = f"KH_{DAY}.zip"
OLD = 1_592_352_000
"""17 June 2020: what uploaders that preserve times leave on a file of today."""


@pytest.fixture
def updates(tmp_path):
    make_lanes(tmp_path / "tree" / "ipob_kh")
    return tmp_path / "tree" / "ipob_kh" / "Trademarks" / "Updates"


@pytest.fixture
def collect(openssh, tmp_path, intake):
    @contextmanager
    def connection(office, budget):
        address = Address("127.0.0.1", openssh.port, openssh.user, str(tmp_path / "tree"))
        with open_source(
            address,
            Login(openssh.key),
            known_hosts=openssh.known_hosts,
            budget_seconds=budget.left,
        ) as source:
            yield source

    def once(wait=True):
        report = intake.visits(connection).one("KH", at=intake.later(hours=2), wait=wait)
        assert report.error is None
        return report.deliveries

    return once


@pytest.fixture
def source(tmp_path, zipped):
    """A file of the office, with an old time."""
    path = tmp_path / "outbox" / NAME
    path.parent.mkdir()
    path.write_bytes(zipped("a.xml", filling=random.Random(3).randbytes(600_000)))
    os.utime(path, (OLD, OLD))
    return path


def sftp(openssh, source, target, *, limit=None, flags=""):
    options = ["-l", str(limit * 8 // 1000)] if limit else []
    batch = f'put {flags} "{source}" "{target}"\n'
    return [*openssh.client("sftp", *options, "-b", "-"), f"{openssh.user}@127.0.0.1"], batch


def sftp_preserving(openssh, source, target, *, limit=None):
    return sftp(openssh, source, target, limit=limit, flags="-p")


def rclone(openssh, source, target, *, limit=None):
    remote = f":sftp,host=127.0.0.1,port={openssh.port},user={openssh.user}"
    remote += f",key_file={openssh.key},known_hosts_file={openssh.known_hosts},shell_type=none"
    slowly = [f"--bwlimit={limit // 1000}k", "--buffer-size=0"] if limit else []
    command = ["rclone", "--config=", *slowly, "copyto", str(source), f"{remote}:{target}"]
    return command, ""


def lftp(openssh, source, target, *, limit=None, temporary=False):
    connect = " ".join(openssh.client("ssh")).replace(f"-P {openssh.port}", f"-p {openssh.port}")
    settings = [
        f'set sftp:connect-program "{connect} -a -x"',
        f"set net:limit-rate 0:{limit or 0}",
        f"set xfer:use-temp-file {'yes' if temporary else 'no'}",
        "set net:max-retries 1",
    ]
    put = f'put "{source}" -o "{target}"'
    opened = f"open -u {openssh.user}, sftp://127.0.0.1:{openssh.port}"
    return ["lftp", "-c", "; ".join([*settings, opened, put])], ""


def lftp_temporary(openssh, source, target, *, limit=None):
    return lftp(openssh, source, target, limit=limit, temporary=True)


UPLOADERS = [sftp, sftp_preserving, rclone, lftp, lftp_temporary]
PRESERVING = {"sftp_preserving", "rclone", "lftp", "lftp_temporary"}


@pytest.fixture(params=UPLOADERS, ids=lambda uploader: uploader.__name__)
def uploader(request):
    program = request.param.__name__.split("_")[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (Debian: {program})")
    return request.param


def test_what_an_uploader_finished_is_taken_whatever_time_it_left(
    uploader, openssh, source, updates, collect
):
    command, batch = uploader(openssh, source, updates / NAME)
    subprocess.run(command, input=batch.encode(), check=True, capture_output=True, timeout=60)
    kept = round((updates / NAME).stat().st_mtime) == OLD
    assert kept is (uploader.__name__ in PRESERVING)
    (delivery,) = collect()
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert delivery.state is State.RECEIVED
    assert [(file.name, file.sha256) for file in delivery.files] == [(NAME, digest)]


def test_what_a_killed_uploader_left_is_never_taken_for_whole(
    uploader, openssh, source, updates, collect, intake
):
    command, batch = uploader(openssh, source, updates / NAME, limit=200_000)
    upload = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    upload.stdin.write(batch.encode())
    upload.stdin.close()
    whole = source.stat().st_size
    for _ in range(1000):
        sizes = [path.stat().st_size for path in updates.iterdir()]
        if sizes and sizes[0] > 30_000:
            break
        time.sleep(0.01)
    upload.kill()
    upload.wait()
    (left,) = updates.iterdir()
    assert 0 < left.stat().st_size < whole
    stump = collect()
    if left.name == NAME:
        assert [delivery.state for delivery in stump] == [State.INCOMPLETE]
    else:
        assert (left.name, stump) == (f".in.{NAME}", [])
    command, batch = uploader(openssh, source, updates / NAME)
    subprocess.run(command, input=batch.encode(), check=True, capture_output=True, timeout=60)
    (delivery,) = collect()
    assert delivery.state is State.RECEIVED
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert [file.sha256 for file in delivery.files] == [digest]
    states = [d.state for d in intake.ledger.deliveries.list()]
    assert sorted(states) in ([State.RECEIVED], [State.RECEIVED, State.WITHDRAWN])


def test_paramiko_uploads_are_taken_and_its_killed_ones_are_not(
    openssh, source, updates, collect, tmp_path
):
    client = paramiko.SSHClient()
    client.load_host_keys(str(openssh.known_hosts))
    client.connect(
        "127.0.0.1", openssh.port, openssh.user, key_filename=str(openssh.key), allow_agent=False
    )
    with client, client.open_sftp() as sftp_client:
        with sftp_client.open(str(updates / NAME), "wb") as target:
            target.write(source.read_bytes()[:200_000])
        assert [delivery.state for delivery in collect()] == [State.INCOMPLETE]
        sftp_client.put(str(source), str(updates / NAME))
    assert [delivery.state for delivery in collect()] == [State.RECEIVED]
