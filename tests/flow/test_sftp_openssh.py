"""Collecting from OpenSSH's own server: what it sends, what uploaders leave, what must wait."""

import hashlib
import os
import random
import subprocess

import pytest

from connectors.sftp.downloads import fetch
from connectors.sftp.keys import key_pair, public_line
from connectors.sftp.listing import walk
from connectors.sftp.session import Address, Login, connect
from ipregister.errors import (
    ConfigurationError,
    IncompleteDelivery,
    OfficeRefused,
    OfficeUnreachable,
)

DAY = "20261121"


@pytest.fixture
def wire(openssh):
    address = Address("127.0.0.1", openssh.port, openssh.user)
    with connect(address, Login(openssh.key), known_hosts=openssh.known_hosts) as wire:
        yield wire


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
    downloads = fetch(wire, files, starts={files[0].path: 600_001})
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
