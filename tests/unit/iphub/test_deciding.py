"""Who decides must be said; no hub is asked before that."""

import pytest
from typer.testing import CliRunner

from iphub.cli import app


@pytest.mark.parametrize(
    "command",
    [
        ["release", "KH-1"],
        ["withdraw", "KH-1"],
        ["revert", "KH-1", "--reason", "wrong file"],
        ["approve-purge", "--office", "KH", "--right", "designs", "--up-to", "5", "--reason", "x"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("nobody", ["", " "])
def test_nobody_decides_nothing(command: list[str], nobody: str) -> None:
    answer = CliRunner().invoke(app, ["delivery", *command, "--by", nobody])
    assert "say who decides" in answer.output
