"""An end to statements that walk through too much: nobody may keep a worker busy for long."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ipregister.errors import SearchTooSlow

SEARCH_SECONDS = 10.0

STEPS = 2_000
"""Of SQLite's machine between two looks at the clock: about 50 microseconds."""


_REMEDY = (
    "Narrow it: a number, a class or dates find their records directly; a part of a word has to "
    "be looked for everywhere."
)


@contextmanager
def bounded(
    connection: sqlite3.Connection,
    seconds: float = SEARCH_SECONDS,
    what: str = "The search",
    remedy: str = _REMEDY,
) -> Iterator[None]:
    """Interrupt what runs on a connection for longer than ``seconds``.

    ``what`` it is, and the ``remedy``, are told to who asked for it.

    Raises:
        SearchTooSlow: it was interrupted.
    """
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        yield
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        raise SearchTooSlow(f"{what} took longer than {seconds:g} s. {remedy}") from exc
    finally:
        connection.set_progress_handler(None, 0)
