"""Processes that read XML for a parent that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, sys
from connectors.staging.pool import reading_pool, start_early
if __name__ == "__main__":
    if "early" in sys.argv:
        start_early(2, "connectors.staging.stage")
    with reading_pool(2) as pool:
        pids = {pool.submit(os.getpid).result() for _ in range(20)}
        print(*pids, flush=True)
        os.read(0, 1)
"""

EARLY = """
import sys
from connectors.staging.pool import reading_pool, start_early
from pipelines.expecting import READER
def imported():
    return READER in sys.modules
if __name__ == "__main__":
    start_early(1, READER)
    with reading_pool(1) as pool:
        print(READER.rpartition(".")[2], pool.submit(imported).result())
"""


@pytest.mark.parametrize("when", ["early", "asked"])
def test_readers_do_not_outlive_a_killed_parent(tmp_path: Path, when: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), when],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stderr is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert children
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    for pipe in (parent.stdin, parent.stdout):
        assert pipe is not None
        pipe.close()
    for _ in range(600):
        living = [pid for pid in children if runs(pid)]
        if not living:
            break
        time.sleep(0.1)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
    assert living == []
    with parent.stderr as told:  # until the last process that could write there has ended
        assert told.read() == ""


def test_readers_started_early_have_imported_what_their_work_needs(tmp_path: Path) -> None:
    script = tmp_path / "early.py"
    script.write_text(EARLY)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout == "stage True\n"


def runs(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
