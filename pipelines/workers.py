"""Who works on a delivery: a name that says the machine and the process.

A process that was killed leaves its lease and its run behind; on its own machine everybody can
see that it is gone, also when its number is another's by now, as in a container that was started
again.
"""

import os
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

WORKER_TAG = "iphub/worker"
"""Tag of a run: who works on it."""

UNENDED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]

LONGEST_RUN = timedelta(days=1)
"""No run of a living machine takes so long: everything read again is a matter of hours."""

_BEGAN = 19
"""Where ``/proc/PID/stat`` has when a process began, counted behind its name, which may hold
blanks."""


def worker_name(run: str) -> str:
    """Return the name of this process in one run: ``host:process:run``.

    The process is its number and when it began, where the system tells.
    """
    process = "-".join(filter(None, (str(os.getpid()), _began(os.getpid()))))
    return f"{socket.gethostname()}:{process}:{run[:8]}"


def is_dead(worker: str) -> bool:
    """Tell whether a worker is known to be gone; of other machines nothing is known."""
    host, _, process = worker.rpartition(":")[0].rpartition(":")
    number, _, began = process.partition("-")
    if host != socket.gethostname() or not number.isdigit():
        return False
    with suppress(PermissionError):  # it runs, as somebody else
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            return True
    return bool(began) and _began(int(number)) not in (began, "")


def _began(process: int) -> str:
    """Return when a process began, in ticks since the machine did; empty where nobody says."""
    try:
        told = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    return told.rpartition(")")[2].split()[_BEGAN]


def sign(context: dg.OpExecutionContext) -> str:
    """Write on the run who works on it, and return that name."""
    name = worker_name(context.run_id)
    context.instance.add_run_tags(context.run_id, {WORKER_TAG: name})
    return name


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs failed whose process is gone: each would hold a place in the queue for ever.

    Dagster's own launcher of processes does not look after them; what they left undone waits
    again when its lease ends. Of a machine that is not this one, and of a run nobody signed,
    that is known after ``LONGEST_RUN``.
    """
    oldest = (datetime.now(UTC) - LONGEST_RUN).timestamp()
    for record in instance.get_run_records(filters=dg.RunsFilter(statuses=UNENDED)):
        run = record.dagster_run
        worker = run.tags.get(WORKER_TAG, "nobody")
        ours = worker.startswith(f"{socket.gethostname()}:")
        if is_dead(worker) or (not ours and (record.start_time or oldest) < oldest):
            instance.report_run_failed(run, f"The process that worked on it is gone ({worker}).")
