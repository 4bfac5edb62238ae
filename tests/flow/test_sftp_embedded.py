"""The embedded server: who gets in, what each account sees, and what happens on bad lines."""

import json
import os
import random
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko
import pytest

from connectors.sftp.downloads import fetch
from connectors.sftp.listing import walk
from connectors.sftp.packets import SAFE_READ_BYTES
from connectors.sftp.server import embedded, last_embedded
from connectors.sftp.session import Address, Login, connect
from connectors.sftp.source import open_source
from ipregister.deliveries import State
from ipregister.errors import ConfigurationError, OfficeRefused, OfficeUnreachable


@pytest.fixture
def running(tmp_path):
    """A server with the folders of two offices."""
    with embedded(tmp_path / "home", ["KH", "TH"]) as server:
        yield server


@pytest.fixture
def tree(running):
    return running.server.root


@contextmanager
def logged_in(running, user, **login) -> Iterator[paramiko.SFTPClient]:
    """Log in as an office would, with a client that can write."""
    key = (
        None
        if login
        else paramiko.Ed25519Key.from_private_key_file(str(running.keys / f"sftp_{user}"))
    )
    connection = socket.create_connection((running.server.host, running.server.port))
    with paramiko.Transport(connection) as transport:
        transport.connect(username=user, pkey=key, **login)
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        yield client
        client.close()


def hub_source(running):
    return open_source(running.address, running.login, known_hosts=running.known_hosts)


def test_the_tree_has_every_lane_of_every_office(tree):
    lanes = sorted(str(path.relative_to(tree)) for path in tree.glob("*/*/*"))
    assert len(lanes) == 18
    assert lanes[0] == "ipob_kh/Designs/Full_Extraction"


def test_keys_are_made_once_and_kept_private(tmp_path):
    def fingerprints():
        with embedded(tmp_path, ["KH"]) as running:
            return running.server.fingerprint, (tmp_path / "keys/sftp_ipob_kh").read_text()

    assert fingerprints() == fingerprints()
    for name in ("sftp_host", "sftp_hub", "sftp_ipob_kh"):
        assert stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode) == 0o600


def test_the_home_remembers_where_its_server_is(running, tmp_path):
    assert last_embedded(tmp_path / "elsewhere") is None
    found = last_embedded(tmp_path / "home")
    assert found == (running.address, running.login, running.known_hosts)


def test_a_taken_port_is_said(running, tmp_path):
    again = embedded(tmp_path / "other", ["KH"], port=running.server.port)
    with pytest.raises(ConfigurationError, match="cannot listen"):
        again.__enter__()
    options = ["--home", tmp_path / "other", "--port", str(running.server.port), "--format", "json"]
    command = [sys.executable, "-m", "iphub", "sftp", "serve", *options]
    said = subprocess.run(command, stdout=subprocess.PIPE)
    assert (said.returncode, json.loads(said.stdout)["error"]["code"]) == (2, "configuration")


def test_an_office_uploads_and_the_hub_collects(running, intake, zipped, tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped("a.xml"))
    with logged_in(running, "ipob_kh") as client:
        client.put(str(tmp_path / "a.zip"), "/ipob_kh/Trademarks/Updates/KH_20261121.zip.filepart")
        client.rename(
            "/ipob_kh/Trademarks/Updates/KH_20261121.zip.filepart",
            "Trademarks/Updates/KH_20261121.zip",
        )
    with hub_source(running) as source:
        assert source.offices() == ["KH", "TH"]
        intake.collector.collect(source, "KH", at=intake.now)
        report = intake.collector.collect(source, "KH", at=intake.later(seconds=2))
    assert [delivery.state for delivery in report.deliveries] == [State.RECEIVED]
    assert report.deliveries[0].files[0].bytes == (tmp_path / "a.zip").stat().st_size


def test_an_office_sees_its_own_folder_only(running, tree, zipped):
    (tree / "ipob_th/Patents/Updates/secret.zip").write_bytes(zipped("th.xml"))
    with logged_in(running, "ipob_kh") as client:
        assert client.normalize(".") == "/ipob_kh"
        assert client.listdir("/") == ["ipob_kh"]
        for path in (
            "/ipob_th",
            "/ipob_th/Patents/Updates/secret.zip",
            "../ipob_th/Patents/Updates",
        ):
            with pytest.raises(FileNotFoundError):
                client.stat(path)
        with pytest.raises(FileNotFoundError):
            client.open("/ipob_kh/../ipob_th/Patents/Updates/secret.zip")
        with pytest.raises(FileNotFoundError):
            client.open("/ipob_th/Patents/Updates/mine.zip", "w")
        with pytest.raises(FileNotFoundError):
            client.rename("/ipob_th/Patents/Updates/secret.zip", "Patents/Updates/mine.zip")


def test_a_link_leads_nowhere(running, tree, tmp_path):
    (tmp_path / "outside.txt").write_text("not for offices")
    lane = tree / "ipob_kh/Patents/Updates"
    (lane / "link.txt").symlink_to(tmp_path / "outside.txt")
    (lane / "folder").symlink_to(tmp_path, target_is_directory=True)
    with logged_in(running, "ipob_kh") as client:
        for path in ("link.txt", "folder/outside.txt", "folder/new.txt"):
            for mode in ("r", "w"):
                with pytest.raises(OSError, match=r"Permission denied|No such file"):
                    client.open(f"Patents/Updates/{path}", mode)
        with pytest.raises(OSError, match=r"Permission denied|No such file"):
            client.listdir("Patents/Updates/folder")
        with pytest.raises(OSError, match="Operation unsupported"):
            client.symlink("/etc/passwd", "Patents/Updates/planted")
    with hub_source(running) as source:
        listing = source.list("KH")
    assert listing.files == []
    assert {problem.reason for problem in listing.problems} == {"a link is not followed"}
    assert (tmp_path / "outside.txt").read_text() == "not for offices"


def test_a_drop_folder_can_be_tidied(running, tree):
    with logged_in(running, "ipob_kh") as client:
        client.mkdir("Designs/Updates/20261121")
        with client.open("Designs/Updates/20261121/a.xml", "w") as file:
            file.write("<a/>")
        client.utime("Designs/Updates/20261121/a.xml", (1_600_000_000, 1_600_000_000))
        assert client.stat("Designs/Updates/20261121/a.xml").st_mtime == 1_600_000_000
        client.truncate("Designs/Updates/20261121/a.xml", 2)
        assert (tree / "ipob_kh/Designs/Updates/20261121/a.xml").read_text() == "<a"
        client.posix_rename("Designs/Updates/20261121/a.xml", "Designs/Updates/20261121/b.xml")
        client.remove("Designs/Updates/20261121/b.xml")
        client.rmdir("Designs/Updates/20261121")
        with pytest.raises(OSError, match="Permission denied"):
            client.rmdir("/ipob_kh")
    assert list((tree / "ipob_kh/Designs/Updates").iterdir()) == []


def test_a_session_that_ends_well_says_so(running):
    """OpenSSH's ``scp`` calls an upload failed when the server does not."""
    key = paramiko.Ed25519Key.from_private_key_file(str(running.keys / "sftp_ipob_kh"))
    connection = socket.create_connection((running.server.host, running.server.port))
    with paramiko.Transport(connection) as transport:
        transport.connect(username="ipob_kh", pkey=key)
        channel = transport.open_session(timeout=10)
        channel.settimeout(10)
        channel.invoke_subsystem("sftp")
        channel.shutdown_write()
        while channel.recv(1_000):
            pass
        assert channel.status_event.wait(10)
        assert channel.exit_status == 0


@pytest.mark.parametrize("folder", ["Designs", "Designs/Updates"])
def test_the_folders_of_rights_and_lanes_stay(folder, running, tree):
    with logged_in(running, "ipob_kh") as client:
        for change in (client.rename, client.posix_rename):
            with pytest.raises(OSError, match="Permission denied"):
                change(folder, "elsewhere")
        with pytest.raises(OSError, match="Permission denied"):
            client.rmdir("Designs/Updates")
        client.mkdir("Designs/Updates/Updates")
        client.rename("Designs/Updates/Updates", "Designs/Updates/other")
    assert (tree / "ipob_kh/Designs/Updates/other").is_dir()


def test_the_hub_account_cannot_write(running, tree):
    (tree / "ipob_kh/Designs/Updates/a.xml").write_text("<a/>")
    with logged_in(running, "hub") as client:
        assert sorted(client.listdir("/")) == ["ipob_kh", "ipob_th"]
        for attempt in (
            lambda: client.open("/ipob_kh/Designs/Updates/b.xml", "w"),
            lambda: client.remove("/ipob_kh/Designs/Updates/a.xml"),
            lambda: client.rename(
                "/ipob_kh/Designs/Updates/a.xml", "/ipob_kh/Designs/Updates/b.xml"
            ),
            lambda: client.mkdir("/ipob_xx"),
            lambda: client.utime("/ipob_kh/Designs/Updates/a.xml", (1, 1)),
        ):
            with pytest.raises(OSError, match="Permission denied"):
                attempt()


def test_the_generated_password_logs_in_and_another_does_not(running):
    account = running.server.accounts["ipob_kh"]
    with logged_in(running, "ipob_kh", password=account.password) as client:
        assert client.listdir("/") == ["ipob_kh"]
    for user, password in (("ipob_kh", "wrong"), ("nobody", ""), ("hub", "")):
        with (
            pytest.raises(paramiko.AuthenticationException),
            logged_in(running, user, password=password),
        ):
            pass


def test_an_offices_own_login_is_a_source_of_that_office(running):
    address = Address(running.server.host, running.server.port, "ipob_th")
    login = Login(key_file=running.keys / "sftp_ipob_th")
    with open_source(address, login, known_hosts=running.known_hosts) as source:
        assert source.offices() == ["TH"]
        with pytest.raises(OfficeRefused, match="no folder ipob_kh"):
            source.list("KH")


def test_without_known_limits_pieces_are_small(running, tree):
    data = random.Random(5).randbytes(700_001)
    (tree / "ipob_kh/Patents/Test/large.bin").write_bytes(data)
    with connect(running.address, running.login, known_hosts=running.known_hosts) as wire:
        assert wire.limits.read_bytes == SAFE_READ_BYTES
        downloads = fetch(wire, walk(wire, "/ipob_kh").files)
        assert next(downloads).read() == data
        assert next(downloads, None) is None


def test_names_that_are_not_utf8_come_through_the_listing(running, tree):
    (tree / "ipob_kh/Patents/Updates" / os.fsdecode(b"\xcb\xd2.xml")).touch()
    with hub_source(running) as source:
        assert [os.fsencode(file.path) for file in source.list("KH").files] == [
            b"Patents/Updates/\xcb\xd2.xml"
        ]


class Relay:
    """A line between hub and server that can break: after a number of bytes it does ``then``."""

    def __init__(self, target: tuple[str, int], after: int, then: str) -> None:
        self._target, self._after, self._then = target, after, then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> "Relay":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for end in [self._listener, *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in [self._listener, *self._ends]:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            self._ends += [client, server]
            self._threads += [
                threading.Thread(target=self._copy, args=(client, server, sys.maxsize)),
                threading.Thread(target=self._copy, args=(server, client, self._after)),
            ]
            for thread in self._threads[1:]:
                thread.start()

    def _copy(self, source: socket.socket, sink: socket.socket, budget: int) -> None:
        with suppress(OSError):
            while data := source.recv(min(65_536, max(budget, 1))):
                if budget <= 0 and self._then == "stall":
                    self._stopped.wait()
                    return
                if budget <= 0 and self._then == "trickle":
                    self._stopped.wait(0.05)
                sink.sendall(data)
                budget -= len(data)
                if budget <= 0 and self._then == "reset":
                    sink.shutdown(socket.SHUT_RDWR)
                    return


@pytest.mark.parametrize("then", ["reset", "stall", "trickle"])
@pytest.mark.parametrize("after", [10, 1_500, 200_000])
def test_a_bad_line_is_an_unreachable_office_and_nothing_half_lands(
    running, tree, intake, then, after, tmp_path
):
    data = random.Random(7).randbytes(400_000)
    (tree / "ipob_kh/Patents/Updates/a.bin").write_bytes(data)
    target = (running.server.host, running.server.port)
    with Relay(target, after, then) as relay:
        pinned = tmp_path / "known_hosts"
        pinned.write_text(
            running.server.known_hosts_line.replace(f":{target[1]}", f":{relay.port}")
        )
        address = Address("127.0.0.1", relay.port, "hub")

        def attempt() -> None:
            with open_source(
                address, running.login, known_hosts=pinned, timeout_seconds=0.6
            ) as source:
                downloads = source.fetch("KH", source.list("KH").files)
                intake.landing.put(next(downloads))

        with pytest.raises(OfficeUnreachable) as caught:
            attempt()
    assert caught.value.retryable
    landed = [path for path in intake.landing.root.rglob("*") if path.is_file()]
    assert landed == []


def test_the_command_says_where_to_connect_and_stops_on_interrupt(tmp_path):
    code = "import sys; from iphub.sftp import app; app(sys.argv[1:], standalone_mode=False)"
    command = [sys.executable, "-c", code, "serve", "--home", str(tmp_path), "--port", "0"]
    serving = subprocess.Popen([*command, "--format", "json"], stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    with serving, serving.stdout:
        said = ""
        while not said.endswith("\n}\n"):
            said += serving.stdout.readline()
        port = int(said.split('"port": ')[1].split(",")[0])
        address = Address("127.0.0.1", port, "hub")
        keys = tmp_path / "keys"
        with open_source(
            address, Login(keys / "sftp_hub"), known_hosts=keys / "sftp_known_hosts"
        ) as source:
            assert "KH" in source.offices()
        serving.send_signal(2)
        assert serving.wait(10) == 0


def test_no_thread_outlives_the_server(tmp_path):
    before = set(threading.enumerate())
    with embedded(tmp_path, ["KH"]) as running, hub_source(running) as source:
        source.list("KH")
    for _ in range(100):
        if not set(threading.enumerate()) - before:
            break
        time.sleep(0.02)
    assert set(threading.enumerate()) - before == set()
