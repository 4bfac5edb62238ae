"""What Dagster sees: assets, runs, materialisations, and what becomes of failing deliveries."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.exc import OperationalError

import pipelines.jobs as jobs
import pipelines.running as running
import pipelines.sensors as sensors
import pipelines.workers as workers
from ipregister.deliveries import Kind, State
from ipregister.errors import StoreError
from pipelines import assets
from pipelines.checks import latest_deliveries
from pipelines.definitions import build_definitions
from pipelines.jobs import process_deliveries
from pipelines.partitions import office_rights
from pipelines.resources import HubResource
from pipelines.run_history import PLANNED, RUNS_KEPT, forget_runs, forget_what_is_ahead
from pipelines.running import prepare_instance, process_until_idle
from pipelines.sensors import sftp_arrivals, waiting_deliveries
from pipelines.workers import UNENDED, WORKER_TAG, end_dead_runs, is_dead, worker_name

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE
OFFICES = ("KH", "MY", "VN")

KILLED = """
import os, signal, sys
from pathlib import Path
from connectors import faults
from connectors.hub import Hub
from connectors.settings import Settings
from pipelines.running import process_until_idle

def kill(point):
    if point == "compare.finished":
        os.kill(os.getpid(), signal.SIGKILL)

faults.arm(kill)
process_until_idle(Hub.open(Settings(home=Path(sys.argv[1]))))
"""
"""What ``iphub process`` does, killed in the midst of a delivery."""


def one_mark(ipas: Any, office: str, word: str = "ONE") -> str:
    return ipas.marks(ipas.mark(f"{office}90001", word, office=office))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, ipas: Any) -> Iterator[Any]:
    """Four deliveries of three offices, one of them a duplicate, processed until none waits."""
    desk = ipas.open_desk(tmp_path_factory.mktemp("run") / "hub")
    handed_in = [desk.hand_in(one_mark(ipas, office), office=office) for office in OFFICES]
    handed_in.append(desk.hand_in(one_mark(ipas, "KH", "TWO"), b"", office="KH"))
    done = process_until_idle(desk.hub)
    with dg.DagsterInstance.from_config(str(prepare_instance(desk.hub.home.root))) as instance:
        yield SimpleNamespace(desk=desk, instance=instance, done=done, handed_in=handed_in)
    desk.hub.close()


def test_the_code_location_loads_and_every_asset_says_what_it_is(run: Any) -> None:
    definitions = build_definitions(str(run.desk.hub.home.root))
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    keys = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    assert set(keys) == {
        "landing/deliveries", "register/staged", "quality/findings", "register/log",
        "register/base", "serving/records", "quality/receipts",
    }  # fmt: skip
    for name, asset in keys.items():
        assert asset.group_name == name.split("/")[0]
        assert len(asset.description) > 30
        assert asset.partitions_def == office_rights


def test_one_run_takes_all_that_wait(run: Any) -> None:
    (record,) = run.instance.get_run_records()
    assert record.dagster_run.status is dg.DagsterRunStatus.SUCCESS
    assert run.done == [delivery.deliveryId for delivery in run.handed_in]


def test_every_delivery_materialises_its_partition_with_its_counts(run: Any) -> None:
    told = {}
    for key in (assets.SERVING.key, assets.RECEIPTS.key):
        events = run.instance.fetch_materializations(key, limit=100).records
        told[key.to_user_string()] = [
            (event.partition_key, event.asset_materialization.metadata["accepted"].value)
            for event in reversed(events)
        ]
    expected = [(f"{office}.trademarks", 1) for office in (*OFFICES, "KH")]
    assert told == {"serving/records": expected, "quality/receipts": expected}
    newest = run.instance.fetch_materializations(assets.FINDINGS.key, limit=1).records[0]
    metadata = {name: value.value for name, value in newest.asset_materialization.metadata.items()}
    assert metadata["deliveryId"] == run.handed_in[-1].deliveryId
    assert metadata["rejected"] == 1
    assert metadata["errorFindings"] >= 1
    assert metadata["readSeconds"] >= 0


def test_checks_judge_the_latest_delivery_of_each_office(run: Any) -> None:
    hub = HubResource(home=str(run.desk.hub.home.root))
    judge = latest_deliveries.op.compute_fn.decorated_fn  # type: ignore[attr-defined]
    results = {result.check_name: result for result in judge(hub)}
    assert results["receipt_adds_up"].passed
    assert not results["no_error_findings"].passed
    deliveries = results["no_error_findings"].metadata["deliveries"].value
    assert run.handed_in[-1].deliveryId in deliveries


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Delivery ids that fail as a defect of ours would."""
    ids: set[str] = set()
    real = jobs.process_delivery

    def process(hub: Any, delivery_id: str, **rest: Any) -> Any:
        if delivery_id in ids:
            hub.ledger.leases.claim(delivery_id, rest["worker"], rest["clock"]())
            raise ZeroDivisionError
        return real(hub, delivery_id, **rest)

    monkeypatch.setattr(jobs, "process_delivery", process)
    return ids


def test_a_failing_delivery_stops_nobody_and_is_held_after_three_attempts(
    desk: Any, ipas: Any, failing: set[str]
) -> None:
    first, second, third = (
        desk.hand_in(one_mark(ipas, office), office=office) for office in OFFICES
    )
    failing.add(second.deliveryId)
    seen = []
    for left in (second.deliveryId, second.deliveryId, "none"):
        with pytest.raises(StoreError, match=f"failed; deliveries that still wait: {left}"):
            process_until_idle(desk.hub)
        state = desk.hub.ledger.deliveries.get
        seen.append([state(each.deliveryId).state for each in (first, second, third)])
    good = State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS
    assert all(states[0] in good and states[2] in good for states in seen)
    assert [states[1] for states in seen] == [State.RECEIVED, State.RECEIVED, State.HELD]
    held = desk.hub.ledger.deliveries.get(second.deliveryId)
    assert held.reason.startswith("Held: the hub failed 3 times to process it (ZeroDivisionError).")
    assert "Your file is safe" in held.reason
    assert held.hold["code"] == "processing_failed"
    assert process_until_idle(desk.hub) == []
    desk.hub.ledger.deliveries.move(
        second.deliveryId, State.CHECKING, desk.now, "operator", expected=State.HELD
    )
    with pytest.raises(StoreError, match="failed"):  # it has three attempts again
        process_until_idle(desk.hub)
    assert desk.hub.ledger.deliveries.get(second.deliveryId).state is State.RECEIVED
    failing.clear()
    assert process_until_idle(desk.hub) == [second.deliveryId]
    assert set(desk.served("MY")) == {"MY90001"}


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (PermissionError(13, "Permission denied", "/hub/register"), "denied: '/hub/register'"),
        (duckdb.IOException("IO Error: No space left on device"), "No space left on device"),
        (
            StoreError("the ledger's database failed: OperationalError: away, by Somsak's words"),
            "the ledger's database failed: OperationalError",
        ),
        (ValueError("Somsak's own words"), None),
    ],
)
def test_a_run_says_which_file_it_may_not_write_and_no_content(
    trouble: Exception,
    told: str | None,
    desk: Any,
    ipas: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk.hand_in(one_mark(ipas, "KH"))

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("the store failed") from trouble

    monkeypatch.setattr(jobs, "process_delivery", refuse)
    with pytest.raises(StoreError) as failed:
        process_until_idle(desk.hub)
    assert "Somsak" not in failed.value.detail
    if told:  # no full stop: the command line goes on with what to do
        assert failed.value.detail.endswith(f"{told})")
    else:
        assert failed.value.detail.endswith(".")


def test_records_of_dagster_that_cannot_be_written_end_with_the_words_that_say_why(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(running, "_process_until_idle", full)
    with pytest.raises(StoreError, match="Nothing is lost") as failed:
        process_until_idle(desk.hub)
    assert failed.value.detail.endswith("disk I/O error")


def test_the_sensor_asks_for_one_run_for_updates_and_one_per_full_extraction(
    desk: Any, ipas: Any
) -> None:
    hub = HubResource(home=str(desk.hub.home.root))

    def asked() -> list[tuple[str, list[str]]]:
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance) as context,
        ):
            result = waiting_deliveries(context, hub=hub)
        if isinstance(result, dg.SkipReason):
            return []
        return [
            (
                request.run_key,
                request.run_config["ops"]["process_waiting"]["config"]["delivery_ids"],
            )
            for request in result.run_requests
        ]

    assert asked() == []
    updates = [desk.hand_in(one_mark(ipas, office), office=office).deliveryId for office in OFFICES]
    fulls = [
        desk.hand_in(one_mark(ipas, office), office=office, kind=FULL).deliveryId
        for office in OFFICES[:2]
    ]
    first = asked()
    assert sorted(ids for _, ids in first) == sorted([[fulls[0]], [fulls[1]], updates])
    assert asked() == first  # the same attempt has the same key: Dagster starts it once
    desk.hub.ledger.leases.claim(fulls[0], "worker", desk.now)
    desk.hub.ledger.deliveries.move(fulls[0], State.RECEIVED, desk.now, "worker")
    again = asked()
    assert [ids for _, ids in again] == [ids for _, ids in first]
    assert len({key for key, _ in first} & {key for key, _ in again}) == 2  # a new attempt


@pytest.mark.parametrize(
    ("deliveries", "bytes_", "taken"),
    [(500, 1 << 30, 3), (2, 1 << 30, 2), (500, 1, 1), (500, 0, 1)],
    ids=["all", "two deliveries", "larger than a run", "no room at all"],
)
def test_an_update_too_large_for_any_run_has_one_to_itself(
    desk: Any,
    ipas: Any,
    monkeypatch: pytest.MonkeyPatch,
    deliveries: int,
    bytes_: int,
    taken: int,
) -> None:
    monkeypatch.setattr(sensors, "MAX_DELIVERIES", deliveries)
    monkeypatch.setattr(sensors, "MAX_BYTES", bytes_)
    updates = [desk.hand_in(one_mark(ipas, office), office=office).deliveryId for office in OFFICES]
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance) as context,
    ):
        result = waiting_deliveries(context, hub=HubResource(home=str(desk.hub.home.root)))
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests is not None
    (request,) = result.run_requests
    config = request.run_config["ops"]["process_waiting"]["config"]
    assert config["delivery_ids"] == updates[:taken]


def test_the_sensor_asks_for_a_run_to_finish_a_reversal_when_no_delivery_waits(
    desk: Any, ipas: Any
) -> None:
    delivery = desk.deliver(one_mark(ipas, "KH"))
    hub = HubResource(home=str(desk.hub.home.root))
    desk.hub.ledger.reversals.decide(delivery.deliveryId, at=desk.now, by="a", reason="a test")
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance) as context,
    ):
        (request,) = waiting_deliveries(context, hub=hub).run_requests
        done = process_deliveries.execute_in_process(
            run_config=request.run_config, instance=instance, resources={"hub": hub}
        )
        assert done.success
        assert desk.served("KH") == {}
        assert isinstance(waiting_deliveries(context, hub=hub), dg.SkipReason)


def test_without_a_server_the_collecting_sensor_rests(desk: Any) -> None:
    with dg.build_sensor_context() as context:
        answer = sftp_arrivals(context, hub=HubResource(home=str(desk.hub.home.root)))
    assert isinstance(answer, dg.SkipReason)
    assert "No SFTP server is configured" in str(answer.skip_message)


def test_the_nightly_job_folds_without_a_visible_change(run: Any, ipas: Any) -> None:
    before = {office: run.desk.served_bytes(office) for office in OFFICES}
    job = build_definitions(str(run.desk.hub.home.root)).resolve_job_def("maintain_register")
    assert job.execute_in_process(instance=run.instance).success
    assert {office: run.desk.served_bytes(office) for office in OFFICES} == before
    folded = run.instance.get_materialized_partitions(assets.BASE.key)
    assert {f"{office}.trademarks" for office in OFFICES} <= folded
    event = run.instance.get_latest_materialization_event(assets.BASE.key)
    told = event.asset_materialization.metadata
    assert told["rows"].value == 1
    assert told["foldSeconds"].value > 0
    assert run.desk.deliver(one_mark(ipas, "MY", "TWO"), office="MY").receipt.updated == 1


def test_the_night_forgets_runs_that_ended_long_ago(desk: Any, ipas: Any) -> None:
    desk.hand_in(ipas.marks(ipas.mark()))
    process_until_idle(desk.hub)
    directory = prepare_instance(desk.hub.home.root)
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        (old,) = instance.get_run_records()
        instance.create_run_for_job(process_deliveries, status=dg.DagsterRunStatus.STARTED)
        assert forget_runs(instance, old.update_timestamp + RUNS_KEPT) == 0
        assert forget_runs(instance, old.update_timestamp + RUNS_KEPT + timedelta(days=1)) == 1
        (left,) = instance.get_runs()
        assert left.status is dg.DagsterRunStatus.STARTED, "what goes on is not forgotten"
        logs = instance.event_log_storage
        assert isinstance(logs, SqliteEventLogStorage)
        with logs.index_connection() as index:
            for table in ("event_logs", "asset_check_executions"):
                rows = index.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE run_id <> ''")
                assert rows.scalar_one() == 0, table
        named = [path for path in directory.rglob("*") if old.dagster_run.run_id in path.name]
        assert named == []


@pytest.mark.parametrize(
    ("job", "op", "config"),
    [
        ("process_deliveries", "process_waiting", {"office": "XX"}),
        ("process_deliveries", "process_waiting", {"office": "kh"}),
        ("reprocess_register", "reprocess_registers", {"office": "XX"}),
        ("reprocess_register", "reprocess_registers", {"right": "trademark"}),
    ],
)
def test_a_run_for_what_does_not_exist_fails(
    desk: Any, job: str, op: str, config: dict[str, str]
) -> None:
    definitions = build_definitions(str(desk.hub.home.root))
    done = definitions.resolve_job_def(job).execute_in_process(
        run_config={"ops": {op: {"config": config}}}, raise_on_error=False
    )
    assert not done.success
    (said,) = [event.event_specific_data.error for event in done.get_step_failure_events()]
    assert "one of" in str(said.cause.message)


def test_sensors_begin_anew_where_a_clock_that_was_ahead_had_seen_them(desk: Any) -> None:
    """Dagster would look at none before that instant."""
    directory, at = prepare_instance(desk.hub.home.root), datetime.now(UTC)
    assert not forget_what_is_ahead(directory, at)
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        tick = TickData("sensor", "s", InstigatorType.SENSOR, TickStatus.SKIPPED, at.timestamp())
        instance.create_tick(tick)
    assert not forget_what_is_ahead(directory, at + timedelta(seconds=1))
    assert (directory / PLANNED).exists()
    assert forget_what_is_ahead(directory, at - timedelta(days=365))
    assert not (directory / PLANNED).exists()
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        assert instance.all_instigator_state() == []


def test_a_killed_worker_is_taken_over_at_once(desk: Any, ipas: Any) -> None:
    waiting = desk.hand_in(ipas.marks(ipas.mark()))
    deliveries, leases = desk.hub.ledger.deliveries, desk.hub.ledger.leases
    host = socket.gethostname()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert leases.claim(waiting.deliveryId, f"{host}:{os.getpid()}:alive", desk.now)
    assert leases.end(is_dead, desk.now) == 0, "a living worker keeps its lease"
    deliveries.move(waiting.deliveryId, State.RECEIVED, desk.now, "test")
    assert leases.claim(waiting.deliveryId, f"{host}:{ended.pid}:killed", desk.now)
    assert not leases.waiting(at=desk.now)
    assert leases.end(is_dead, desk.now) == 1
    assert [each.deliveryId for each in leases.waiting(at=desk.now)] == [waiting.deliveryId]
    assert desk.process(waiting).state is State.PUBLISHED_WITH_FINDINGS


def test_a_killed_run_ends_as_failed_and_its_delivery_is_tried_again(desk: Any, ipas: Any) -> None:
    waiting = desk.hand_in(ipas.marks(ipas.mark()))
    home = desk.hub.home.root
    killed = subprocess.run([sys.executable, "-c", KILLED, str(home)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with dg.DagsterInstance.from_config(str(prepare_instance(home))) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.STARTED]
        with dg.build_sensor_context(instance=instance) as context:
            ticked = waiting_deliveries(context, hub=HubResource(home=str(home)))
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]
        assert isinstance(ticked, dg.SensorResult)
        assert [request.run_key is not None for request in ticked.run_requests or ()] == [True]
    assert process_until_idle(desk.hub) == [waiting.deliveryId]


def test_a_run_of_a_machine_that_is_gone_holds_its_place_for_a_day(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = prepare_instance(desk.hub.home.root)
    with dg.DagsterInstance.from_config(str(directory)) as instance:
        tags = {"elsewhere": "elsewhere:7-1:run", "here": worker_name("run"), "unsigned": ""}
        for name, worker in tags.items():
            run = instance.create_run_for_job(
                process_deliveries, tags={WORKER_TAG: worker} if worker else {}
            )
            instance.report_dagster_event(
                dg.DagsterEvent("PIPELINE_START", process_deliveries.name), run.run_id
            )
            tags[name] = run.run_id

        def unended() -> list[str]:
            left = {run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=UNENDED))}
            return [name for name, run_id in tags.items() if run_id in left]

        end_dead_runs(instance)
        assert unended() == list(tags)
        monkeypatch.setattr(workers, "LONGEST_RUN", timedelta(seconds=-5))
        end_dead_runs(instance)
        assert unended() == ["here"]


def test_a_run_has_the_event_log_that_dagster_would_make(desk: Any, ipas: Any) -> None:
    """Of the second run the file is a copy; the third asks Dagster's own."""
    home = desk.hub.home.root
    for number in (1, 2):
        desk.hand_in(ipas.marks(ipas.mark(f"KH/9000{number}/2019")))
        process_until_idle(desk.hub)
    with dg.DagsterInstance.from_config(str(prepare_instance(home))) as instance:
        made = dg.job(name="made")(lambda: None).execute_in_process(instance=instance).run_id
        runs = [run.run_id for run in instance.get_runs() if run.run_id != made]
        tables = {}
        for run in (made, *runs):
            shard = instance.event_log_storage.path_for_shard(run)  # type: ignore[attr-defined]
            log = sqlite3.connect(shard)
            tables[run] = log.execute(
                "SELECT name, sql FROM sqlite_master UNION ALL "
                "SELECT 'revision', version_num FROM alembic_version ORDER BY 1, 2"
            ).fetchall()
            log.close()
            assert instance.all_logs(run)

    assert len(runs) == 2
    assert tables[runs[0]] == tables[runs[1]] == tables[made]


def test_dagsters_own_records_in_trouble_are_told_and_nothing_is_lost(desk: Any, ipas: Any) -> None:
    waiting = desk.hand_in(ipas.marks(ipas.mark()))
    history = prepare_instance(desk.hub.home.root) / "history"
    history.mkdir()
    (history / "runs.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        process_until_idle(desk.hub)
    (history / "runs.db").unlink()
    assert process_until_idle(desk.hub) == [waiting.deliveryId]
