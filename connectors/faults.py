"""Named points between the steps of the hub, where a test may stop, count or break it.

A point is passed as ``reach("landing.hashed")``: before it, a step has had its effect, and what
comes next has not. Nothing happens there unless a test has armed the points of its own
process; nobody else can, there is no setting for it.
"""

from collections.abc import Callable

_at_points: list[Callable[[str], None]] = []


def reach(point: str) -> None:
    """Pass a point."""
    for react in _at_points:
        react(point)


def arm(react: Callable[[str], None]) -> None:
    """Call ``react`` with the name of every point that is passed from now on; tests only."""
    _at_points[:] = [react]


def disarm() -> None:
    """Let all points be passed without anything happening again."""
    _at_points.clear()
