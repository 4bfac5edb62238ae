"""One at a time for one office and right: whoever compares with the register and then changes it.

What is compared must still be so when it is published. The lock is a file of the home and dies
with its process; readers never come by here.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipregister.model import Right


@contextmanager
def alone(home: Path, office: str, right: Right) -> Iterator[None]:
    """Be the only one to change what the hub in ``home`` has of one office and right."""
    with in_turn(home, f"{office}-{right}"):
        yield


@contextmanager
def in_turn(home: Path, what: str) -> Iterator[None]:
    """Be the only one at something named ``what`` in a home; whoever comes later waits."""
    descriptor = os.open(home / f".alone-{what}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
