"""Budgets and slowness of servers, by a clock that the test turns."""

import io
from collections import deque
from functools import partial

import pytest

from connectors.collection.pacing import Budget, Paced, Patience
from ipregister.errors import OfficeUnreachable, OutOfTime

PATIENCE = Patience(answer_seconds=60, pass_seconds=3600, bytes_per_second=100)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(io.BytesIO):
    """A server that takes a time for each piece and gives at most so many bytes of it."""

    def __init__(self, clock: Clock, seconds: float, piece: int) -> None:
        super().__init__(bytes(100_000))
        self.clock, self.seconds, self.piece = clock, seconds, piece

    def read(self, size: int | None = -1, /) -> bytes:
        self.clock.now += self.seconds
        return super().read(min(size or 0, self.piece))


def paced(clock: Clock, seconds: float, piece: int) -> Paced:
    return Paced(Slow(clock, seconds, piece), Budget(3600, clock), PATIENCE, clock)


def test_a_server_that_gives_single_bytes_in_time_is_cut_off() -> None:
    stream = paced(Clock(), seconds=5, piece=1)
    with pytest.raises(OfficeUnreachable, match="too slowly: 13 bytes in 65 s"):
        deque(iter(partial(stream.read, 1000), b""))


def test_a_slow_line_that_is_fast_enough_goes_on_to_the_end() -> None:
    stream = paced(Clock(), seconds=5, piece=500)
    while stream.read(1000):
        pass
    assert stream.received == 100_000


def test_our_own_slowness_is_not_the_servers() -> None:
    clock = Clock()
    stream = paced(clock, seconds=0.001, piece=500)
    for _ in range(200):
        assert stream.read(1000)
        clock.now += 15  # a busy disk
    assert stream.received == 100_000


def test_a_file_stops_when_the_time_is_used_up() -> None:
    stream = paced(clock := Clock(), seconds=5, piece=5000)
    clock.now = 3590
    assert stream.read(5000)
    assert stream.read(5000)
    with pytest.raises(OutOfTime, match="goes on from here"):
        stream.read(5000)


def test_a_budget_can_be_ended() -> None:
    clock = Clock()
    budget = Budget(100, clock)
    clock.now = 40
    assert (budget.used, budget.left) == (40, 60)
    budget.end()
    assert budget.left == 0
