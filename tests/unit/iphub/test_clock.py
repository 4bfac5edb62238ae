"""That the machine's clock was set back is seen, and what keeps it right is not mistaken for it."""

import time

from iphub.dagster_ui import SET_BACK_SECONDS, Clock


def test_a_clock_that_was_ahead_for_a_while_is_seen_when_it_is_right_again() -> None:
    ahead = [0.0]
    clock = Clock(lambda: time.time() + ahead[0])
    assert not clock.was_set_back()
    ahead[0] = 1e6
    assert not clock.was_set_back()
    ahead[0] = 0.0
    assert clock.was_set_back()


def test_keeping_a_clock_right_is_nothing() -> None:
    ahead = [0.0]
    clock = Clock(lambda: time.time() + ahead[0])
    ahead[0] = -SET_BACK_SECONDS / 2
    assert not clock.was_set_back()
