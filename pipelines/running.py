"""Running the jobs in this process, as the command line does."""

import builtins
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import dagster as dg
import yaml
from dagster._core.storage.event_log import SqliteEventLogStorage

from connectors.hub import Hub
from connectors.ledger.engine import DriverError
from ipregister.deliveries import UNFINISHED
from ipregister.errors import StoreError
from pipelines.begun import places_begun
from pipelines.jobs import now, process_deliveries
from pipelines.resources import HubResource
from pipelines.run_history import forget_runs
from pipelines.workers import end_dead_runs, is_dead

INSTANCE = {
    "telemetry": {"enabled": False},
    "nux": {"enabled": False},
    "concurrency": {"runs": {"max_concurrent_runs": 2}},
    "retention": {
        "sensor": {"purge_after_days": {"skipped": 2, "success": 30, "failure": 7, "started": 7}}
    },
    "run_monitoring": {"enabled": True},
}
"""``dagster.yaml`` of the embedded default: SQLite below the home, nothing sent anywhere, and
no form before the first page that asks operators for their address."""

LEDGER_FAILED = re.compile(r"the ledger's database failed: \w+")
"""How the ledger tells its database's trouble, and what kind of trouble that was."""

MAX_ROUNDS = 100
"""Rounds of one ``process`` command: new deliveries may arrive meanwhile, but not for ever."""


def prepare_instance(home: Path) -> Path:
    """Make Dagster's home inside the hub's and return it; an existing one stays as it is."""
    directory = home / "dagster"
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(yaml.safe_dump(INSTANCE), "utf-8")
    return directory


def process_until_idle(hub: Hub, office: str | None = None) -> list[str]:
    """Run ``process_deliveries`` until nothing waits; return what was processed.

    Args:
        hub: the open stores.
        office: only this office's deliveries.

    Raises:
        StoreError: a run failed, or Dagster has no room for its records; deliveries still wait.
    """
    # In turn: Dagster's SQLite gives up on a lock after five seconds, which two of us on a busy
    # machine exceed; the second one finds what the first has left.
    with hub.in_turn("process"), _told(hub):
        return _process_until_idle(hub, office)


def forget_old_runs(hub: Hub, at: datetime) -> int:
    """Remove what Dagster keeps of runs that ended long ago; return how many.

    Raises:
        StoreError: Dagster's records cannot be read or written.
    """
    directory = prepare_instance(hub.home.root)
    with _told(hub), dg.DagsterInstance.from_config(str(directory)) as instance:
        return forget_runs(instance, at)


@contextmanager
def _told(hub: Hub) -> Iterator[None]:
    """Say what is the matter with Dagster's own records; our stores do so themselves."""
    try:
        yield
    except DriverError as exc:
        raise StoreError(
            f"Nothing is lost, deliveries still wait: Dagster's records in "
            f"{hub.home.root / 'dagster'} cannot be read or written: "
            f"{type(exc.orig).__name__}: {exc.orig}"
        ) from exc


def _process_until_idle(hub: Hub, office: str | None) -> list[str]:
    resources = {"hub": HubResource(home=str(hub.home.root))}
    done: list[str] = []
    directory = prepare_instance(hub.home.root)
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        end_dead_runs(instance)
        for _ in range(MAX_ROUNDS):
            hub.ledger.leases.end(is_dead, now())
            waiting = [d.deliveryId for d in hub.ledger.leases.waiting(office, now())]
            if not waiting and not places_begun(hub, office):
                break
            taken = {"delivery_ids": waiting, "office": office}
            config = {
                "ops": {"process_waiting": {"config": taken}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            }
            # The job alone: the sensors beside it load SFTP, HTTP and their cryptography.
            result = process_deliveries.execute_in_process(
                run_config=config,
                instance=instance,
                raise_on_error=False,
                resources=resources,
                run_id=_run_with_log(instance, directory),
            )
            finished = [
                name for name in waiting if hub.ledger.deliveries.get(name).state not in UNFINISHED
            ]
            done += finished
            if not result.success:
                left = ", ".join(sorted(set(waiting) - set(finished))) or "none"
                told = f"The run {result.run_id} failed; deliveries that still wait: {left}"
                refusal = _refusal(result)
                raise StoreError(f"{told} ({refusal})" if refusal else f"{told}.")
            if not finished:
                break
    return done


def _refusal(result: dg.ExecuteInProcessResult) -> str:
    """Return how the system refused a file or the ledger, where that is why a run failed.

    Such words name a file and never what is in one, as those of other errors may; of the
    ledger's they are the first alone.
    """
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None:
            kind = getattr(builtins, error.cls_name or "", None)
            is_python = isinstance(kind, type) and issubclass(kind, OSError)
            if is_python or error.cls_name == "IOException":  # DuckDB's
                return error.message.strip()
            if found := LEDGER_FAILED.search(error.message):
                return found[0]
            error = error.cause
    return ""


def _run_with_log(instance: dg.DagsterInstance, directory: Path) -> str:
    """Return the identifier of a new run that has its event log already, empty.

    Dagster would make the tables of this SQLite file one by one and go through its migrations:
    0.07 s of CPU and thirty commits that a slow disk writes one after the other, all before the
    first delivery. Kept by version, for another one may want other tables.
    """
    run_id, logs = str(uuid4()), instance.event_log_storage
    if isinstance(logs, SqliteEventLogStorage):
        empty = directory / f"empty-log-{dg.__version__}.db"
        if not empty.exists():
            with TemporaryDirectory(dir=directory) as folder:
                SqliteEventLogStorage(folder)
                (Path(folder) / "index.db").replace(empty)
        shutil.copyfile(empty, logs.path_for_shard(run_id))
    return run_id
