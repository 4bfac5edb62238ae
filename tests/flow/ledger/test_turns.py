"""Workers on several machines, ordered by the ledger they share on PostgreSQL.

Another machine is a process whose file locks reach nobody.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors import faults
from connectors.hub import Hub
from connectors.ledger import Ledger
from connectors.settings import Settings
from ipregister.errors import StoreError
from ipregister.model import Right
from pipelines.rederived import Rederived, Reprocessed, begun, directory_of, remember
from pipelines.reverting import revert

MARKS = Right.TRADEMARKS
LOCKS = """pg_locks WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
EVERYBODY_ELSE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
AT_THE_LEDGER = """
import sys
from connectors.ledger import Ledger
ledger = Ledger.open(sys.argv[1])
with getattr(ledger.turns, sys.argv[2])(sys.argv[3]):
    print("in", flush=True)
    sys.stdin.readline()
"""
ELSEWHERE = """
import fcntl, sys
from datetime import UTC, datetime
from pathlib import Path
fcntl.flock = lambda *_: None
from connectors.hub import Hub
from connectors.settings import Settings
from pipelines.ingest import process_delivery
hub = Hub.open(Settings(home=Path(sys.argv[1]), ledger_url=sys.argv[2], workers=1))
clock = lambda: datetime.fromisoformat(sys.argv[4])
print("in", process_delivery(hub, sys.argv[3], worker="elsewhere", clock=clock).state, flush=True)
"""


def start(script: str, *given: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *given],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str]) -> str:
    """Return the next word of a process that begins with ``in``; what it logs is passed over."""
    assert process.stdout is not None
    return next((line.strip() for line in process.stdout if line.startswith("in")), "nothing")


@pytest.fixture
def server(postgres_url: str) -> Iterator[Any]:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def wait_until_one_waits(server: Any) -> None:
    wait_until(server, 1, "NOT granted")


def wait_until(server: Any, count: int, how: str) -> None:
    """Wait until so many locks are (not) granted; a server frees them a moment after a close."""
    for _ in range(600):
        if server.execute(f"SELECT count(*) FROM {LOCKS} AND {how}").fetchone() == (count,):
            return
        time.sleep(0.05)
    raise AssertionError(f"never {count} {how}")


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [("alone", "alone", True), ("alone", "together", True), ("together", "alone", True),
     ("together", "together", False)],
)  # fmt: skip
def test_whoever_wants_to_be_alone_waits_until_the_other_has_died(
    postgres_url: str, server: Any, first: str, second: str, waits: bool
) -> None:
    Ledger.open(postgres_url).close()
    holder = start(AT_THE_LEDGER, postgres_url, first, "KH-trademarks")
    assert said(holder) == "in"
    other = start(AT_THE_LEDGER, postgres_url, second, "KH-trademarks")
    elsewhere = start(AT_THE_LEDGER, postgres_url, "alone", "KH-patents")
    assert said(elsewhere) == "in"
    if waits:
        wait_until_one_waits(server)
        holder.kill()
    assert said(other) == "in"
    for process in (holder, other, elsewhere):
        process.kill()
        process.communicate()


def test_a_worker_on_another_machine_waits_for_its_turn(
    ipas: Any, tmp_path: Path, postgres_url: str, server: Any
) -> None:
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=postgres_url)
    waiting = desk.hand_in(ipas.marks(ipas.mark()))
    home, at = str(desk.hub.home.root), desk.now.isoformat()
    with desk.hub.alone("KH", MARKS):
        elsewhere = start(ELSEWHERE, home, postgres_url, waiting.deliveryId, at)
        wait_until_one_waits(server)
        assert desk.served() == {}
    assert said(elsewhere) == "in published_with_findings"
    elsewhere.communicate()
    assert len(desk.served()) == 1
    desk.hub.close()


def test_what_was_compared_while_another_machine_published_is_compared_again(
    ipas: Any, tmp_path: Path, postgres_url: str, server: Any
) -> None:
    """The ledger goes away for a moment, and with it what keeps the others waiting."""
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=postgres_url)
    older, newer = (
        desk.hand_in(ipas.marks(ipas.mark(word=word)), names=(f"KH_2026110{day}.xml",))
        for day, word in ((1, "OLDER"), (2, "NEWER"))
    )
    given = str(desk.hub.home.root), postgres_url, newer.deliveryId, desk.now.isoformat()

    def lose_the_ledger(point: str) -> None:
        if point == "compare.finished":
            faults.disarm()
            server.execute(EVERYBODY_ELSE)
            elsewhere = start(ELSEWHERE, *given)
            assert said(elsewhere) == "in published_with_findings"
            elsewhere.communicate()

    faults.arm(lose_the_ledger)
    with pytest.raises(StoreError):
        desk.process(older)
    desk.now += timedelta(hours=1)  # the lease of who failed has ended
    assert desk.process(older).receipt.inserted == 1
    assert desk.served()["KH/90001/2019"]["markVerbalElements"][0]["text"] == "NEWER"
    assert desk.hub.ledger.deliveries.get(newer.deliveryId).receipt.updated == 1
    desk.hub.close()


def test_a_reversal_that_was_not_planned_alone_is_planned_again(
    ipas: Any, tmp_path: Path, postgres_url: str, server: Any
) -> None:
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=postgres_url)
    delivery = desk.hand_in(ipas.marks(ipas.mark(word="ONLY")), names=("KH_20261101.xml",))
    desk.process(delivery)

    def lose_the_ledger(point: str) -> None:
        if point == "revert.planned":
            faults.disarm()
            server.execute(EVERYBODY_ELSE)

    faults.arm(lose_the_ledger)
    decided = {"by": "test", "reason": "wrong file", "at": desk.now}
    with pytest.raises(StoreError):
        revert(desk.hub, delivery.deliveryId, **decided)
    assert desk.served(), "nothing was carried out"
    assert not list(desk.hub.home.root.glob("staging/*/reversal.json"))
    assert desk.hub.ledger.reversals.unfinished("KH", MARKS)
    revert(desk.hub, delivery.deliveryId, **decided)
    assert not desk.served()
    assert not desk.hub.ledger.reversals.unfinished("KH", MARKS)
    desk.hub.close()


def test_what_was_read_again_and_not_compared_alone_is_not_decided(
    ipas: Any, tmp_path: Path, postgres_url: str, server: Any
) -> None:
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=postgres_url)
    done = Reprocessed("KH-1", "KH", MARKS, 1, "before", "now")
    directory = directory_of(desk.hub, "KH", MARKS)
    directory.mkdir(parents=True)
    decided = Rederived(directory, done, (), 1, desk.now, "test")

    def decide(before: str) -> None:
        with desk.hub.alone("KH", MARKS):
            server.execute(before)
            remember(desk.hub, decided)

    decide("SELECT 1")
    assert begun(desk.hub) == [("KH", MARKS)]
    with pytest.raises(StoreError):
        decide(EVERYBODY_ELSE)
    assert begun(desk.hub) == []
    desk.hub.close()


def test_a_backup_waits_for_a_publication_on_another_machine(
    ipas: Any, tmp_path: Path, postgres_url: str, server: Any
) -> None:
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=postgres_url)
    waiting = desk.hand_in(ipas.marks(ipas.mark()))
    home, at = str(desk.hub.home.root), desk.now.isoformat()
    with desk.hub.gate.closed():
        elsewhere = start(ELSEWHERE, home, postgres_url, waiting.deliveryId, at)
        wait_until_one_waits(server)
        assert desk.served() == {}
    assert said(elsewhere) == "in published_with_findings"
    elsewhere.communicate()
    desk.hub.close()


def test_a_turn_that_was_lost_with_its_connection_is_an_error(
    postgres_url: str, server: Any
) -> None:
    ledger = Ledger.open(postgres_url)
    end = f"SELECT pg_terminate_backend(pid) FROM {LOCKS} AND granted"
    with pytest.raises(StoreError), ledger.turns.alone("KH-trademarks"):
        assert server.execute(end).fetchall() == [(True,)]
    with ledger.turns.alone("KH-trademarks"):
        pass
    server.execute(EVERYBODY_ELSE)  # while the connection waits to be used again
    with ledger.turns.alone("KH-trademarks"):
        assert server.execute(f"SELECT count(*) FROM {LOCKS}").fetchone() == (1,)
    with pytest.raises(KeyError), ledger.turns.together("KH-trademarks"):
        raise KeyError
    wait_until(server, 0, "granted")
    ledger.close()


def test_on_one_machine_the_file_is_enough(tmp_path: Path) -> None:
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    with hub.alone("KH", MARKS), hub.ledger.turns.alone("KH-trademarks"):
        pass
    hub.close()
