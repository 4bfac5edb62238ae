"""``kill -9`` at every named point from listing to vacuum, and a reader that sees nothing of it.

A hub collects two deliveries, processes them and maintains itself; it is killed at a point,
starts again, and must end exactly as one that was never killed. Every delivery stamps all its
records with its number, so a reader would notice a mixture.

``make test-faults`` kills at every point, at its first and at its last passage; other runs at
a sample.
"""

import runpy
from pathlib import Path
from typing import Any

import pytest

NAMES = runpy.run_path(str(Path(__file__).with_name("points.py")))
ALL, POINTS, EVERY = NAMES["ALL"], NAMES["OF_A_DAY"], NAMES["EVERY"]

ELSEWHERE = {"fold.batch"}
"""Points of which a day may have none: nothing asks for them here."""

SAMPLE = [
    "collect.recorded", "findings.unfinished", "changes.numbered", "log.batch", "publish.served",
    "compact.committed",
]  # fmt: skip


def test_there_are_points_at_every_step_and_a_day_passes_them_all(killing: Any, hubs: Any) -> None:
    assert len(POINTS) >= 40
    assert len(EVERY) >= 90
    assert set(POINTS) - set(killing.passed) <= ELSEWHERE
    assert set(SAMPLE) <= set(POINTS)
    assert hubs.orphans(killing.folder / "golden") == []


@pytest.mark.parametrize("point", POINTS if ALL else SAMPLE)
@pytest.mark.parametrize("passage", ["first", "last"] if ALL else ["last"])
def test_a_killed_hub_ends_as_one_that_never_was(
    killing: Any, hubs: Any, point: str, passage: str
) -> None:
    hits = killing.passed.get(point, 0)
    if (point in ELSEWHERE and not hits) or (hits == 1 and passage == "first"):
        return
    home = killing.fresh("killed")
    reader = hubs.Reader(home)
    reader.start()
    ended = killing.day(home, hubs.SECOND_DAY, point=point, hit=1 if passage == "first" else hits)
    log = home.with_suffix(".log").read_text()
    hubs.age(home)
    again = killing.day(home, hubs.SECOND_DAY)
    reader.stop()
    assert ended == -9, log
    assert again == 0, home.with_suffix(".log").read_text()
    assert reader.troubles == []
    assert (reader.rounds > 0, reader.latest) == (True, 3)
    assert killing.differing(home) <= {"history"}
    assert hubs.orphans(home) == []
