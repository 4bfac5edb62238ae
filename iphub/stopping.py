"""Ctrl-C, SIGTERM, a closed terminal: what ends a command that works long, and what it started.

A command raises ``Stopped`` where it is, so that what it made for itself is removed. Dagster takes
both signals for the length of a run and looks at them between its steps only; ours is one step,
so a large delivery could not be stopped for minutes. Started in the background of a script,
where Ctrl-C is ignored, it has SIGTERM ignored, too. It leaves signals alone in any thread but
the main one.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from select import select
from types import FrameType
from typing import TypeVar

from iphub.output import progress

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP says that the terminal is gone, as when the connection to the machine breaks."""

STOPPED = "Stopped. Nothing is lost: give the same command again."

TIDY_SECONDS = 3.0
"""What a command may take to remove what it has not finished; the next one or the night does it
otherwise."""

STOP_SECONDS = 30.0
"""What Dagster may take to end its own children before we insist."""


_asked: list[int] = []
"""Signals that were answered with ``Stopped``."""


class Stopped(SystemExit):
    """Somebody stopped this command; it ends as if the signal had ended it."""


def stop_on_signals() -> None:
    """Raise ``Stopped`` at the first signal, so that what is unfinished is removed.

    Python hears of a signal between its own steps only, and a query or a fold is one step: a
    process that is still there after ``TIDY_SECONDS``, or at a second signal, ends at once. A
    signal that was ignored when we started stays ignored.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    threading.Thread(target=_insist, args=(reader,), daemon=True, name="insists").start()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


@contextmanager
def stopping_first() -> Iterator[None]:
    """Let a command that was asked to stop end as that, whatever broke off for it.

    DuckDB answers a signal with an error of its own, and ``Stopped`` is not to be seen in it.
    """
    try:
        yield
    except Exception as exc:
        if _asked:
            raise Stopped(128 + _asked[0]) from exc
        raise


def take_your_time() -> None:
    """Let what is served be served to its end, however long that takes after a signal."""
    signal.set_wakeup_fd(-1)


def stoppable(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread and return what it returns; a signal ends this process at once.

    Nothing is tidied: what is unfinished waits for the next run, as after SIGKILL, which every
    step survives. A signal that was ignored when we started stays ignored.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as exc:  # whatever it is, the main thread raises it
            outcome.set_exception(exc)

    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, _end)) for number in heeded]
    try:
        threading.Thread(target=run, daemon=True, name="works").start()
        return outcome.result()
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def asked_to_stop() -> threading.Event:
    """Return what is set by either signal from now on.

    Call it before children start: what we catch, they get back in its default form, even where
    we were started in the background with Ctrl-C ignored.
    """
    take_your_time()
    stopped = threading.Event()
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, lambda *_: stopped.set())
    return stopped


def stop_children(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End what we started, with force where asking does not help."""
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def tell(words: str) -> None:
    """Say something to a terminal that may be gone; nothing that follows depends on it."""
    with suppress(OSError, SystemExit):  # the second is how Rich answers a closed pipe
        progress.show_cursor()
        progress.print(words)


def _stop(number: int, _frame: FrameType | None) -> None:
    _asked.append(number)
    raise Stopped(128 + number)


def _insist(reader: int) -> None:
    number = os.read(reader, 1)[0]
    select([reader], [], [], TIDY_SECONDS)
    tell(STOPPED)
    os._exit(128 + number)


def _end(number: int, _frame: FrameType | None) -> None:
    tell("Stopped. What is not finished waits: iphub process goes on with it.")
    os._exit(128 + number)
