"""Processes of the hub keep no account of SQLite's memory; one that has used it goes on."""

import ctypes
import subprocess
import sys
from importlib.util import find_spec

import pytest

ASKED = """
import ctypes, sqlite3, _sqlite3
sqlite3.connect(":memory:").execute("CREATE TABLE t (name TEXT)")
used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
used.restype = ctypes.c_int64
print(used())
"""


def memory_counted(before: str) -> int:
    """Return what SQLite says it uses, in a process that began with ``before``."""
    command = [sys.executable, "-c", f"{before}\n{ASKED}"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(autouse=True)
def _sqlite_shows_itself() -> None:
    module = find_spec("_sqlite3")
    assert module is not None
    if module.origin is None or not hasattr(ctypes.CDLL(module.origin), "sqlite3_config"):
        pytest.skip("this Python has SQLite inside of itself")


@pytest.mark.parametrize("room", ["connectors", "pipelines.definitions", "iphub.serve"])
def test_a_process_of_the_hub_keeps_no_account_of_memory(room: str) -> None:
    assert memory_counted("") > 0
    assert memory_counted(f"import {room}") == 0


def test_sqlite_in_use_is_left_as_it_is() -> None:
    begun = "import sqlite3; kept = sqlite3.connect(':memory:'); import connectors"
    assert memory_counted(begun) > 0
