"""The gate between those who publish and those who need all stores at one instant.

A publication changes register, serving store and ledger one after the other. Whoever publishes
passes the gate; whoever takes a backup or rebuilds a store closes it, which waits until those
inside are through and lets nobody else in. Locks die with their process. Readers and
collectors never come by here.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from connectors.ledger.turns import Turns


class Gate:
    """A gate all processes with the same home share; two lock files, kept empty."""

    def __init__(self, home: Path, turns: Turns) -> None:
        """Use lock files in ``home``, made when first needed, and the ledger's locks."""
        self._turn, self._inside = home / ".gate-turn", home / ".gate"
        self._turns = turns

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside while publishing; many may be at once."""
        with ExitStack() as held:
            # Whoever wants to close the gate waits in the turn, so newcomers queue behind it.
            with _locked(self._turn, fcntl.LOCK_EX):
                held.enter_context(_locked(self._inside, fcntl.LOCK_SH))
            held.enter_context(self._turns.together("gate"))
            yield

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Be alone: nothing is being published while this is held."""
        with (
            _locked(self._turn, fcntl.LOCK_EX),
            _locked(self._inside, fcntl.LOCK_EX),
            self._turns.alone("gate"),
        ):
            yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
