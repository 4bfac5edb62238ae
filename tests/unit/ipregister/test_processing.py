"""The version of mapping and rules: data's, and no process's."""

import os
import subprocess
import sys

ALL_VERSIONS = """
from ipregister.offices import originating_offices
from ipregister.processing import processing_version

for office in originating_offices():
    for right in office.rights:
        print(office.code, right, processing_version(office.code, right))
"""


def test_every_process_reads_with_the_same_version() -> None:
    def told(seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed}  # in which order sets come
        command = [sys.executable, "-c", ALL_VERSIONS]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert "KH trademarks" in (first := told("1"))
    assert all(told(seed) == first for seed in ("2", "3"))
