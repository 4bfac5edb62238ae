"""Who works on a delivery: a name that says the machine and the process.

A process that was killed leaves its lease and its run behind; on its own machine everybody can
see that it is gone.
"""

import os
import socket
from contextlib import suppress

import dagster as dg

WORKER_TAG = "iphub/worker"
"""Tag of a run: who works on it."""

UNENDED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def worker_name(run: str) -> str:
    """Return the name of this process in one run: ``host:process:run``."""
    return f"{socket.gethostname()}:{os.getpid()}:{run[:8]}"


def is_dead(worker: str) -> bool:
    """Tell whether a worker is known to be gone; of other machines nothing is known."""
    host, _, rest = worker.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    with suppress(PermissionError):  # it runs, as somebody else
        try:
            os.kill(int(rest), 0)
        except ProcessLookupError:
            return True
    return False


def sign(context: dg.OpExecutionContext) -> str:
    """Write on the run who works on it, and return that name."""
    name = worker_name(context.run_id)
    context.instance.add_run_tags(context.run_id, {WORKER_TAG: name})
    return name


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs failed whose process is gone: each would hold a place in the queue for ever.

    Dagster's own launcher of processes does not look after them; what they left undone waits
    again when its lease ends.
    """
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=UNENDED)):
        worker = run.tags.get(WORKER_TAG)
        if worker is not None and is_dead(worker):
            instance.report_run_failed(run, f"The process that worked on it is gone ({worker}).")
