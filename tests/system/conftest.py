"""What the system tests share: documents of invented marks, as the flow tests write them."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

DESK = Path(__file__).parents[1] / "flow" / "desk.py"


@pytest.fixture(scope="session")
def ipas() -> Any:
    """What writes small IPAS documents: ``mark``, ``marks``, ``zipped``, and opens desks."""
    return SimpleNamespace(**runpy.run_path(str(DESK)))
