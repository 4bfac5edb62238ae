"""Who decides must be said; no hub is asked before that."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.hub import Hub
from connectors.settings import Settings
from iphub import decisions
from iphub.cli import app
from iphub.stopping import Stopped
from ipregister.model import Right


@pytest.mark.parametrize(
    "command",
    [
        ["release", "KH-1"],
        ["withdraw", "KH-1"],
        ["revert", "KH-1", "--reason", "wrong file"],
        ["approve-purge", "--office", "KH", "--right", "designs", "--up-to", "5", "--reason", "x"],
        ["withdraw-purge", "1", "--office", "KH", "--reason", "x"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("nobody", ["", " "])
def test_nobody_decides_nothing(command: list[str], nobody: str) -> None:
    answer = CliRunner().invoke(app, ["delivery", *command, "--by", nobody])
    assert "say who decides" in answer.output


def test_an_announcement_that_ran_out_is_not_called_open(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    for days in (1, 60):
        at = now - timedelta(days=days)
        hub.ledger.purges.approve(
            "KH", Right.DESIGNS, up_to=5, at=at, by="Som", reason=f"announced {days} days ago"
        )
    hub.close()
    command = ["delivery", "purge-approvals", "--home", str(tmp_path / "hub")]
    told = " ".join(CliRunner().invoke(app, command).output.split())
    last = (now - timedelta(days=30)).date()
    assert f"(announced 60 days ago); ended unused on {last}" in told
    assert "(announced 1 days ago); open until" in told


def test_a_list_of_missing_records_is_utf_8_whatever_the_terminal_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = {"applicationNumber": "ខ្មែរ/1", "recordId": "a", "applicationDate": None}
    hub = SimpleNamespace(ledger=SimpleNamespace(deliveries={"KH-1": None}))
    monkeypatch.setattr(decisions, "open_hub", lambda _: nullcontext(hub))
    monkeypatch.setattr("connectors.missing_records.missing_batches", lambda *_: iter([[row]]))
    told = CliRunner(charset="tis-620").invoke(decisions.app, ["missing", "KH-1"])
    assert told.exit_code == 0, told.exception
    assert "ខ្មែរ/1,a," in told.stdout_bytes.decode("utf-8")


def test_a_list_that_breaks_off_takes_no_files_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def breaks_off(*_: object) -> Iterator[list[dict[str, Any]]]:
        yield [{"applicationNumber": "1", "recordId": "a", "applicationDate": None}]
        raise Stopped(143)

    hub = SimpleNamespace(ledger=SimpleNamespace(deliveries={"KH-1": None}))
    monkeypatch.setattr(decisions, "open_hub", lambda _: nullcontext(hub))
    monkeypatch.setattr("connectors.missing_records.missing_batches", breaks_off)
    output = tmp_path / "missing.csv"
    command = ["missing", "KH-1", "--output", str(output)]
    assert CliRunner().invoke(decisions.app, command).exit_code == 143
    assert list(tmp_path.iterdir()) == []
    output.write_text("of before")
    CliRunner().invoke(decisions.app, command)
    assert output.read_text() == "of before"
    assert list(tmp_path.iterdir()) == [output]
