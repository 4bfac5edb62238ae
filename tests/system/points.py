"""The named points of the hub, and who passes them: a day of its life, or one of its errands."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

EVERY = sorted(
    {
        point
        for room in ("connectors", "pipelines", "api")
        for path in (ROOT / room).rglob("*.py")
        for point in re.findall(r'\breach\("([a-z.]+)"\)', path.read_text("utf-8"))
    }
)

OF_ERRANDS = {
    "revert": ("revert",),
    "reprocess": ("reprocess",),
    "export": ("export",),
    "backup": ("backup",),
    "restore": ("restore",),
    "rebuild": ("rebuild",),
    "push": ("push", "upload"),
}
"""Beginnings of points that only errands pass."""

SHARED = {
    "revert": ("log", "fold", "serving"),
    "reprocess": ("log", "serving"),
    "push": ("landing",),
}
"""Beginnings of points that errands pass too, where a kill leaves what no day leaves."""

ALL = bool(os.environ.get("IPHUB_TEST_ALL_POINTS"))


def beginning(*names: str) -> list[str]:
    """Return the points that begin so."""
    return [point for point in EVERY if point.partition(".")[0] in names]


OF_A_DAY = sorted(set(EVERY) - set(beginning(*(n for names in OF_ERRANDS.values() for n in names))))
