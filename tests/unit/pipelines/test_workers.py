"""A worker is dead when its machine says so, and only then."""

import os
import subprocess
import sys

from pipelines.workers import is_dead, worker_name


def test_this_process_lives() -> None:
    assert not is_dead(worker_name("0123456789abcdef"))


def test_a_process_that_ended_is_dead() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host, _, run = worker_name("run").rsplit(":", 2)
    assert is_dead(f"{host}:{ended.pid}:{run}")


def test_another_process_with_the_number_of_one_that_ended_is_not_it() -> None:
    """As after a machine or a container was started again."""
    host, process, run = worker_name("run").rsplit(":", 2)
    number, _, began = process.partition("-")
    assert began.isdigit()
    assert is_dead(f"{host}:{number}-{int(began) - 1}:{run}")
    assert not is_dead(f"{host}:{number}:{run}"), "as programs before this one wrote it"


def test_of_other_machines_and_other_names_nothing_is_known() -> None:
    assert not is_dead(f"elsewhere:{os.getpid()}:run")
    assert not is_dead("elsewhere:999999999:run")
    assert not is_dead("Somsak")
    assert not is_dead("")
