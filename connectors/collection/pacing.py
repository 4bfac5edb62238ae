"""How much time an office gets, and how slow it may be.

A pass over one office has a budget, so that a slow server holds nobody up, neither the other
offices nor the next pass. What is not fetched when it is used up is fetched by the next pass.
Waiting between passes is ``backoff``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from connectors.arriving import Readable
from ipregister.errors import OfficeUnreachable, OutOfTime

Clock = Callable[[], float]
"""Seconds that only grow; which instant is zero does not matter."""


@dataclass(frozen=True, slots=True)
class Patience:
    """What one pass over one office puts up with.

    Attributes:
        answer_seconds: for connecting, and for each answer of the server.
        pass_seconds: for the whole pass with all its attempts.
        bytes_per_second: a server slower than this while a file is read is as good as dead; a
            modem of 1995 is faster.
        pauses: seconds before each further attempt after a lost connection.
    """

    answer_seconds: float = 60.0
    pass_seconds: float = 3600.0
    bytes_per_second: float = 1024.0
    pauses: tuple[float, ...] = (1.0, 5.0, 15.0)


class Budget:
    """The time one pass over one office has left."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        """Begin now."""
        self._clock = clock
        self._began = clock()
        self._seconds = seconds

    @property
    def used(self) -> float:
        """Return the seconds since the pass began."""
        return self._clock() - self._began

    @property
    def left(self) -> float:
        """Return the seconds left; 0 when used up."""
        return max(0.0, self._seconds - self.used)

    def end(self) -> None:
        """Let no time be left: somebody wants to stop."""
        self._seconds = 0.0


class Paced:
    """A file on its way, read within a budget and not slower than allowed.

    Only the time spent waiting for the server counts as its slowness, not what we do with the
    bytes; ``received`` counts them.
    """

    def __init__(
        self,
        source: Readable,
        budget: Budget,
        patience: Patience,
        clock: Clock = time.monotonic,
    ) -> None:
        """Read from ``source``."""
        self.received = 0
        self._source = source
        self._budget = budget
        self._patience = patience
        self._clock = clock
        self._waited = 0.0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes.

        Raises:
            OutOfTime: the budget is used up.
            OfficeUnreachable: the server is too slow, or what the source raises.
        """
        if not self._budget.left:
            raise OutOfTime("the time of this pass is used up; the next one goes on from here")
        began = self._clock()
        piece = self._source.read(size)
        self._waited += self._clock() - began
        self.received += len(piece)
        slowest = self._patience.bytes_per_second * self._waited
        if piece and self._waited > self._patience.answer_seconds and self.received < slowest:
            raise OfficeUnreachable(
                f"the server sends too slowly: {self.received} bytes in {self._waited:.0f} s"
            )
        return piece
