"""Where a report is written to: a link stays a link, a pipe a pipe."""

import os
import threading
from pathlib import Path

from iphub.report import deliver


def write(_: object, path: Path) -> None:
    path.write_text("the report", "utf-8")


def test_a_link_leads_to_the_report_afterwards(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (link := tmp_path / "latest.html").symlink_to(target := tmp_path / "november.html")
    deliver(write, None, link, tmp_path / "made")  # type: ignore[arg-type]
    assert link.is_symlink()
    assert target.read_text("utf-8") == "the report"


def test_a_pipe_gets_the_report_and_stays(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    os.mkfifo(pipe := tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    deliver(write, None, pipe, tmp_path / "made")  # type: ignore[arg-type]
    reader.join(10)
    assert read == ["the report"]
    assert pipe.is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "pipe"]
