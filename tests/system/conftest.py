"""What the system tests share: invented marks as the flow tests write them, and killable hubs."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# pytest imports each file by its path, so helpers beside this file are loaded by their own.
DESK = Path(__file__).parents[1] / "flow" / "desk.py"
HUBS = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("hubs.py"))))


@pytest.fixture(scope="session")
def ipas() -> Any:
    """What writes small IPAS documents: ``mark``, ``marks``, ``zipped``, and opens desks."""
    return SimpleNamespace(**runpy.run_path(str(DESK)))


@pytest.fixture(scope="session")
def hubs() -> Any:
    """What ``hubs.py`` has: a reader, orphans, the two days."""
    return HUBS


@pytest.fixture(scope="session")
def killing(tmp_path_factory: pytest.TempPathFactory, ipas: Any) -> Iterator[Any]:
    """A hub after its first day, and how its second day ends when nothing happens to it."""
    yield from HUBS.killable(tmp_path_factory.mktemp("kills"), ipas)


@pytest.fixture(scope="session")
def errands(killing: Any, ipas: Any) -> Any:
    """A hub after its second day, and how errands end when nothing happens to it."""
    return HUBS.third_day(killing, ipas)
