"""How commands end: at a fault of the hub itself, and where there is nothing to do."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
import structlog
from deltalake.exceptions import DeltaError
from typer.testing import CliRunner

from iphub.cli import app
from iphub.context import run
from ipregister.errors import StoreError


def test_people_are_told_how_deliveries_end_and_what_is_wrong_and_no_other_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        log = structlog.get_logger()
        log.info("delivery_started", delivery_id="KH-1")
        log.info("delivery_finished", delivery_id="KH-1", state="published")
        log.info("delivery_reverted", delivery_id="KH-1")
        log.warning("guard_failed", delivery_id="KH-2")

    try:
        run(command)
    finally:
        structlog.reset_defaults()
    finished, wrong = capsys.readouterr().err.splitlines()
    assert finished == "  KH-1 published"
    assert json.loads(wrong)["event"] == "guard_failed"


@pytest.mark.parametrize("asked", [["--format", "json"], ["--format=json"]])
def test_a_fault_of_ours_is_a_failed_operation_and_no_finding(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise KeyError("defect")

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "deliveries", *asked])
    with pytest.raises(SystemExit) as ended:
        run(broken)
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert json.loads(told.out)["error"]["code"] == "internal"
    assert "KeyError: 'defect'" in told.err


def test_too_little_memory_for_a_query_is_the_operators_to_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def greedy() -> None:
        with duckdb.connect() as connection:
            connection.execute("SET memory_limit = '1MB'; SET temp_directory = ''")
            connection.execute("SELECT list(range) FROM range(1000000)").fetchall()

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "digest", "--format", "json"])
    with pytest.raises(SystemExit) as ended:
        run(greedy)
    error = json.loads(capsys.readouterr().out)["error"]
    assert (ended.value.code, error["code"]) == (2, "memory")
    assert error["detail"].startswith("Give a query more memory: raise IPHUB_MEMORY_LIMIT")


@pytest.mark.parametrize("configure", ["context._log_for_people", "serve._log_for_operators"])
def test_a_log_that_cannot_be_written_stops_nothing(configure: str) -> None:
    module, function = configure.split(".")
    code = f"import structlog; from iphub.{module} import {function} as log; log(); "
    code += "structlog.get_logger().error('store_failed'); print('answered')"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", code]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=False)
    assert ended.stdout == b"answered\n"


def test_a_failure_that_cannot_be_told_is_no_finding(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "iphub", "deliveries", "--home", str(tmp_path)]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stderr=full, check=False).returncode == 2


def test_a_reader_that_went_away_is_no_finding() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "iphub", "--help"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (2, b"")


def test_a_terminal_of_another_encoding_is_told_what_it_has_no_letters_for() -> None:
    code = "from rich.console import Console; from iphub.context import run; "
    code += "run(lambda: Console().print('\u0e43\u0e1a\u0e1a\u0e31\u0e27 \u1780'))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONIOENCODING": "tis-620"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode("tis-620") == "\u0e43\u0e1a\u0e1a\u0e31\u0e27 \\u1780\n"


FULL = "The disk is full or fails. Nothing is lost: make room"
ANOTHERS = "A file of the hub may not be written: run commands as the user it belongs to"


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/hub/ledger.sqlite")


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        (sqlite3.OperationalError("database or disk is full"), FULL),
        (OSError("Failed to write: No space left on device (os error 28)"), FULL),
        (OSError(28, "No space left on device", "/hub/r.html"), FULL),
        (sqlite3.OperationalError("disk I/O error"), FULL),
        (DeltaError("Generic LocalFileSystem error: No space left on device (os error 28)"), FULL),
        (duckdb.IOException('Could not write file "said": No space left on device'), FULL),
        (sqlite3.OperationalError("attempt to write a readonly database"), ANOTHERS),
        (sqlite3.OperationalError("unable to open database file"), ANOTHERS),
        (DeltaError('Os { code: 13, message: "Permission denied" }'), ANOTHERS),
        (refused(errno.EROFS), "Read-only file system (/hub/ledger.sqlite). Mount it for writing"),
        (refused(errno.EACCES), "Permission denied (/hub/ledger.sqlite). Run commands as the user"),
        (
            refused(errno.EPERM),
            "Operation not permitted (/hub/ledger.sqlite). Run commands as the user",
        ),
    ],
)
def test_a_disk_or_file_not_to_be_written_is_no_fault_of_ours_whoever_says_so(
    said: Exception,
    begins: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full() -> None:
        raise said

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "maintain", "--format", "json"])
    with pytest.raises(SystemExit) as ended:
        run(full)
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert (ended.value.code, error["code"]) == (2, "file_system")
    assert error["detail"].startswith(begins)
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("cause", "what_to_do"),
    [("database or disk is full", FULL), ("attempt to write a readonly database", ANOTHERS)],
)
def test_a_store_that_may_not_be_written_says_what_to_do(
    cause: str,
    what_to_do: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failed() -> None:
        raise StoreError(f"the ledger's database failed: OperationalError: {cause}")

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "process", "--format", "json"])
    with pytest.raises(SystemExit) as ended:
        run(failed)
    error = json.loads(capsys.readouterr().out)["error"]
    assert (ended.value.code, error["code"]) == (2, "store")
    assert f"{cause}. {what_to_do}" in error["detail"]


def test_a_file_of_the_users_own_is_not_called_one_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "The report cannot be written to /kh.html: Permission denied."

    def refused() -> None:
        raise StoreError(told)

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "report", "--format", "json"])
    with pytest.raises(SystemExit):
        run(refused)
    assert json.loads(capsys.readouterr().out)["error"]["detail"] == told


def test_where_no_answer_can_be_written_the_end_still_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "deliveries", "--format", "json"])
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=SimpleNamespace(write=full)))
    with pytest.raises(SystemExit) as ended:
        run(full)
    assert ended.value.code == 2


def test_a_name_that_is_not_utf8_is_told_to_programs_too(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lane = ["--office", "KH", "--right", "trademarks", "--format", "json"]
    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "validate", "none\udca1.xml", *lane])
    with pytest.raises(SystemExit) as ended:
        run(app)
    told = json.loads(capfdbinary.readouterr().out)["error"]
    assert (ended.value.code, told["code"]) == (2, "unreadable_delivery")
    assert told["detail"].startswith(r"none\udca1.xml cannot be read")


@pytest.mark.parametrize("name", ["none.xml", "folder"])
def test_a_file_that_cannot_be_read_is_no_wrong_usage_and_none_of_its_delivery_is_taken(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    home, good = str(tmp_path / "hub"), tmp_path / "good.xml"
    good.write_text("<a/>")
    (tmp_path / "folder").mkdir()
    app(["init", "--home", home], standalone_mode=False)
    lane = ["--office", "KH", "--right", "trademarks", "--kind", "update"]
    with pytest.raises(SystemExit) as ended:
        run(lambda: app(["submit", str(good), str(tmp_path / name), *lane, "--home", home]))
    assert ended.value.code == 2
    told = "".join(capsys.readouterr().err.split())  # wrapped where the terminal ends
    assert told.startswith(f"unreadable_delivery:{tmp_path / name}")
    assert list((tmp_path / "hub/landing").iterdir()) == []


@pytest.mark.parametrize("name", ["none.tar", "folder"])
def test_a_backup_that_cannot_be_read_is_no_wrong_usage(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    (tmp_path / "folder").mkdir()
    (tmp_path / "hub").mkdir()
    with pytest.raises(SystemExit) as ended:
        run(lambda: app(["restore", str(tmp_path / name), "--home", str(tmp_path / "hub")]))
    assert ended.value.code == 2
    told = "".join(capsys.readouterr().err.split())
    assert told.startswith(f"unreadable_backup:{tmp_path / name}cannotberead:itis")
    assert (tmp_path / "hub").is_dir()


def test_the_command_says_which_version_it_is() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"iphub {version('asean-ip-hub')}\n")
