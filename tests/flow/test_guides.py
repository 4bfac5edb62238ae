"""Guides are run as they stand: every ``sh`` block, in one shell, against a real server."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.hub import Hub
from connectors.settings import Settings

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def script_of(guide: str, hub: str) -> str:
    """Return the commands of a guide, for a hub at another address."""
    text = (GUIDES / guide).read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) > 5
    return "set -euo pipefail\n" + "\n".join(blocks).replace("http://127.0.0.1:8000", hub)


@pytest.fixture
def folder(tmp_path: Path, ipas: Any) -> Path:
    """Where an office's engineer works: a hub, and some files to send."""
    Hub.create(Settings(home=tmp_path / "hub")).close()
    for number, name in enumerate(("KH_20261120.xml", "part1.xml", "part2.xml", "big.xml")):
        record = ipas.mark(f"KH/9000{number}/2019", filed="not a date", applicant="A" * 900)
        (tmp_path / name).write_text(ipas.marks(record), "utf-8")
    return tmp_path


def test_delivering_by_api_works_as_the_guide_says(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    command = [sys.executable, "-m", "iphub", "serve", "--home", "hub", "--port", str(port)]
    server = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        done = subprocess.run(
            ["bash", "-c", script_of("deliver-by-api.md", f"http://127.0.0.1:{port}")],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        server.terminate()
        server.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"IMPORTED"' in done.stdout
    assert '"state":"validated"' in done.stdout
    assert done.stdout.endswith("RECEIVED\n")
    assert "ruleCode" in (folder / "findings.csv").read_text("utf-8")
    assert "<!DOCTYPE html>" in (folder / "report.html").read_text("utf-8")
