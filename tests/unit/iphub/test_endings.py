"""How a command ends when the hub itself is at fault."""

import json
import sys
from types import SimpleNamespace

import pytest

from iphub.context import run


def test_a_fault_of_ours_is_a_failed_operation_and_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise KeyError("defect")

    monkeypatch.setattr("iphub.context._log_for_people", lambda: None)
    monkeypatch.setattr(sys, "argv", ["iphub", "deliveries", "--format", "json"])
    with pytest.raises(SystemExit) as ended:
        run(broken)
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert json.loads(told.out)["error"]["code"] == "internal"
    assert "KeyError: 'defect'" in told.err


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
