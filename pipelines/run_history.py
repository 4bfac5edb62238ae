"""What Dagster keeps and must not: runs that ended long ago, and what a wrong clock has planned.

The first would grow for ever, some hundred KB for each delivery. What became of a delivery is in
the ledger, which keeps it.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

RUNS_KEPT = timedelta(days=90)
"""Longer than anybody looks back for what a run said."""

AT_ONCE = 100

PLANNED = "schedules/schedules.db"
"""Where Dagster has when each sensor and schedule was looked at, seen from its home."""


def forget_runs(instance: dg.DagsterInstance, at: datetime) -> int:
    """Remove runs that ended long ago, with their events and logs; return how many.

    Args:
        instance: Dagster's.
        at: now.
    """
    ended = dg.RunsFilter(statuses=list(FINISHED_STATUSES), updated_before=at - RUNS_KEPT)
    forgotten = 0
    while runs := instance.get_runs(ended, limit=AT_ONCE):
        for run in runs:
            _forget(instance, run.run_id)
        forgotten += len(runs)
    return forgotten


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    logs = instance.event_log_storage
    # The run last: where this is stopped, the next night finds it again.
    logs.delete_events(run_id)
    if isinstance(logs, SqlEventLogStorage):  # which leaves what checks said
        checks = AssetCheckExecutionsTable
        with logs.index_connection() as connection:
            connection.execute(checks.delete().where(checks.c.run_id == run_id))
    if isinstance(logs, SqliteEventLogStorage):
        for path in Path(logs.path_for_shard(run_id)).parent.glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
    instance.run_storage.delete_run(run_id)


def forget_what_is_ahead(directory: Path, at: datetime) -> bool:
    """Remove when sensors were looked at last where that has not come yet; tell whether.

    Dagster looks at none until the clock is there again, be it years, and says nothing. What it
    asked for is with the runs.

    Args:
        directory: Dagster's home; nobody else is at work in it.
        at: now.
    """
    planned = directory / PLANNED
    if not planned.exists():
        return False
    try:
        with closing(sqlite3.connect(planned)) as connection:
            (last,) = connection.execute("SELECT max(timestamp) FROM job_ticks").fetchone()
    except sqlite3.Error:
        return False  # what is the matter with it is Dagster's to say
    if last is None or datetime.fromisoformat(last).replace(tzinfo=UTC) <= at:
        return False
    for path in planned.parent.glob(f"{planned.name}*"):
        path.unlink()
    return True
