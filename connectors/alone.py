"""One at a time: whoever comes later waits.

The lock is a file of the home and dies with its process; readers never come by here. It orders
the processes of one machine; those of several are ordered by the ledger (``ledger.turns``).
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_turn(home: Path, what: str) -> Iterator[None]:
    """Be the only one at something named ``what`` in a home; whoever comes later waits."""
    descriptor = os.open(home / f".alone-{what}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
