"""What ends a command that serves or works for long, and with which code: real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from connectors.hub import Hub
from connectors.settings import Settings
from iphub.stopping import STOPPED

IPHUB = str(Path(sys.executable).with_name("iphub"))

WORKING = """
import time
import dagster as dg
from iphub.stopping import stoppable

@dg.op
def works_for_long():
    print("working", flush=True)
    time.sleep(600)

@dg.job
def long_job():
    works_for_long()

with dg.DagsterInstance.ephemeral() as instance:
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    stoppable(lambda: long_job.execute_in_process(run_config=quiet, instance=instance))
"""
"""What ``iphub process`` does, with a step that does not end by itself."""

ANSWERS = """
from iphub.stopping import stoppable
import signal
before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
assert stoppable(lambda: 42) == 42
assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
stoppable(lambda: {}["missing"])
"""

BREAKS_OFF = """
import os, signal, sys, time
from iphub import cli

def breaks_off():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(60)
    except BaseException:
        raise RuntimeError("Query interrupted") from None

cli.app = breaks_off
cli.main()
"""
"""A command in a query: DuckDB puts an error of its own in the place of what a signal raised."""

AS_BEGUN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.Handlers[sys.argv[1]])
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execvp(sys.argv[2], sys.argv[2:])
"""

PATIENCE_SECONDS = 120.0


def start(*command: str, ignoring: bool) -> "subprocess.Popen[str]":
    """Start a process, with Ctrl-C ignored as a script's ``&`` and ``nohup`` do it, or not.

    Whatever the tests themselves were told to ignore: it would be handed on.
    """
    begun = [sys.executable, "-c", AS_BEGUN, "SIG_IGN" if ignoring else "SIG_DFL"]
    return subprocess.Popen(
        [*begun, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stopped(process: "subprocess.Popen[str]", number: int) -> int:
    """Send the signal and return how the process ended; all are killed if one does not end."""
    overdue = threading.Timer(PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    overdue.start()
    try:
        process.send_signal(number)
        process.communicate()
    finally:
        overdue.cancel()
    return process.returncode


@pytest.mark.parametrize(
    ("number", "ignoring", "code"),
    [
        (signal.SIGTERM, True, 143),
        (signal.SIGINT, False, 130),
    ],
)
def test_a_signal_ends_a_run_in_the_midst_of_a_step(number: int, ignoring: bool, code: int) -> None:
    process = start(sys.executable, "-c", WORKING, ignoring=ignoring)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"

    assert stopped(process, number) == code


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_command_that_is_stopped_removes_what_it_had_begun(
    number: int, code: int, tmp_path: Path
) -> None:
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    package = tmp_path / "package.xml"
    os.mkfifo(package)
    lane = ["--office", "KH", "--right", "trademarks", "--kind", "update"]
    command = [IPHUB, "submit", str(package), *lane, "--home", str(tmp_path / "hub")]
    process = start(*command, ignoring=False)
    with package.open("wb") as slow:
        slow.write(b"<Transaction>")
        slow.flush()
        while not list(hub.landing.root.glob(".arriving-*")):
            time.sleep(0.01)
        time.sleep(0.5)  # it waits for the rest by now
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said.strip()) == (code, STOPPED)
    assert not list(hub.landing.root.glob(".arriving-*"))
    hub.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_query_that_breaks_off_at_a_signal_is_no_fault(number: int, code: int) -> None:
    process = start(sys.executable, "-c", BREAKS_OFF, str(int(number)), ignoring=False)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said.strip()) == (code, STOPPED)


@pytest.mark.parametrize("read", [True, False])
def test_a_query_that_does_not_hear_is_stopped_all_the_same(read: bool, tmp_path: Path) -> None:
    Hub.create(Settings(home=tmp_path / "hub")).close()
    # Not a join by equal values, which would take a moment.
    pairs = (
        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 9"
    )
    process = start(IPHUB, "query", pairs, "--home", str(tmp_path / "hub"), ignoring=False)
    time.sleep(5)
    if not read and process.stderr is not None:
        process.stderr.close()  # nobody hears that it stops
    assert stopped(process, signal.SIGINT) == 130


def test_what_was_begun_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    asked = "import signal; from iphub.stopping import asked_to_stop; asked_to_stop()"
    told = f"{asked}; print(signal.getsignal(signal.SIGHUP).name)"
    command = ["nohup", sys.executable, "-c", told]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "SIG_IGN\n"


def test_work_that_ends_by_itself_answers_or_fails_as_without_us() -> None:
    ended = subprocess.run([sys.executable, "-c", ANSWERS], capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("KeyError: 'missing'")


def running_dagster(home: Path) -> subprocess.Popen[str]:
    """Start Dagster on a new hub and wait until its web server answers."""
    iphub = [sys.executable, "-m", "iphub"]
    subprocess.run([*iphub, "init", "--home", str(home)], check=True, capture_output=True)
    port = free_port()
    process = start(*iphub, "dagster", "--home", str(home), "--port", str(port), ignoring=True)
    while not answers(port):
        assert process.poll() is None, "it ended by itself"
        time.sleep(0.2)
    return process


def test_a_signal_ends_dagsters_server_and_all_it_started(tmp_path: Path) -> None:
    process = running_dagster(tmp_path / "hub")

    assert stopped(process, signal.SIGTERM) == 0
    given_up = time.monotonic() + PATIENCE_SECONDS
    while (left := session(process.pid)) and time.monotonic() < given_up:
        time.sleep(0.1)  # what was killed takes a moment to give its memory back
    assert left == []


def test_dagster_that_ends_by_itself_has_failed(tmp_path: Path) -> None:
    process = running_dagster(tmp_path / "hub")

    (daemon,) = pids(process.pid, "dagster._daemon")
    os.kill(daemon, signal.SIGKILL)
    overdue = threading.Timer(PATIENCE_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    overdue.start()
    _, said = process.communicate()
    overdue.cancel()

    assert process.returncode == 2
    assert "start it again" in said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_a_failed_operation(tmp_path: Path, workers: str) -> None:
    home = str(tmp_path / "hub")
    iphub = [sys.executable, "-m", "iphub"]
    subprocess.run([*iphub, "init", "--home", home], check=True, capture_output=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        served = subprocess.run(
            [
                *(*iphub, "serve", "--home", home, "--port", port),
                *("--workers", workers, "--format", "json"),
            ],
            capture_output=True,
            text=True,
        )

    assert served.returncode == 2, served.stderr
    logged = json.loads(served.stderr.splitlines()[0])
    assert "address already in use" in logged["event"].lower()
    assert logged.keys() == {"event", "level", "timestamp"}
    assert "API at" not in served.stderr
    assert json.loads(served.stdout)["error"]["code"] == "configuration"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_read_the_address_can_connect(tmp_path: Path, workers: str) -> None:
    home, port = str(tmp_path / "hub"), free_port()
    iphub = [sys.executable, "-m", "iphub"]
    subprocess.run([*iphub, "init", "--home", home], check=True, capture_output=True)
    process = start(
        *(*iphub, "serve", "--home", home, "--port", str(port)),
        *("--workers", workers, "--format", "json"),
        ignoring=False,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS).close()
    finally:
        assert stopped(process, signal.SIGTERM) == 0


@contextmanager
def serving(home: Path, *, shell: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Serve a new hub with two workers, once one of them listens; nothing of it stays."""
    iphub = [sys.executable, "-m", "iphub"]
    subprocess.run([*iphub, "init", "--home", str(home)], check=True, capture_output=True)
    port = free_port()
    command = [*iphub, "serve", "--home", str(home), "--port", str(port), "--workers", "2"]
    process = subprocess.Popen(
        ["/bin/sh", "-c", shell, "sh", *command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while not answers(port):
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.2)
        yield process, port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_closed_terminal_ends_a_server_and_its_workers(tmp_path: Path) -> None:
    with serving(tmp_path / "hub", shell='exec "$@"') as (process, port):
        os.killpg(process.pid, signal.SIGHUP)  # as the kernel does: all of them
        assert process.wait(PATIENCE_SECONDS) == 0
        assert not answers(port)


def test_workers_that_nohup_began_outlive_the_terminal(tmp_path: Path) -> None:
    with serving(tmp_path / "hub", shell="trap '' HUP; exec \"$@\"") as (process, port):
        workers = pids(process.pid, "multiprocessing")
        os.killpg(process.pid, signal.SIGHUP)
        time.sleep(2)  # uvicorn looks at signals every half second
        assert pids(process.pid, "multiprocessing") == workers
        assert answers(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def session(leader: int) -> list[str]:
    """Return the command lines of the processes of one session that still run."""
    found = subprocess.run(
        ["ps", "-o", "stat=,args=", "-s", str(leader)], capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if not line.startswith("Z")]


def pids(leader: int, doing: str) -> list[int]:
    """Return the processes of one session with some words in their command line."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "-s", str(leader)], capture_output=True, text=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if doing in line]


def free_port() -> int:
    """Return a port of loopback nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Tell whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
