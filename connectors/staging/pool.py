"""Processes that read parts of a delivery side by side, and never outlive the one they work for.

A worker waits for work on a pipe whose other end it holds too, so it would not notice that its
parent was killed; a thread of its own does.
"""

import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context, parent_process

POOL_ABOVE_BYTES = 48 << 20
"""XML; smaller deliveries are read by one process: starting workers costs 0.7 s each."""

_SILENTLY = "ignore:resource_tracker:UserWarning"
"""What a pool has made for itself is removed by a process of Python's own when we are stopped at
once; to the terminal it would call that a leak."""

_early: dict[int, ProcessPoolExecutor] = {}
"""Pools that wait for their first work, by number of processes."""


def reading_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes; close it as a context manager."""
    return _early.pop(workers, None) or _pool(workers)


def start_early(workers: int, module: str) -> None:
    """Start the processes of the next pool and import what their work needs.

    It takes a second that others can use.
    """
    if workers not in _early:
        _early[workers] = pool = _pool(workers)
        for _ in range(workers):
            pool.submit(_load, module)


def _load(module: str) -> None:
    import_module(module)


def _pool(workers: int) -> ProcessPoolExecutor:
    if _SILENTLY not in sys.warnoptions:
        sys.warnoptions.append(_SILENTLY)
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=end_with_parent
    )


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however it went."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watches-parent").start()
