"""Several processes on one hub: one effect, whoever comes first; maintenance beside all of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.digest import digest_of
from ipregister.deliveries import Kind, State
from pipelines.maintenance import maintain

DONE = (State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS)

TAKE = """
import json, sys
from pathlib import Path
from connectors.hub import Hub
from connectors.settings import Settings
from pipelines.ingest import process_delivery
from pipelines.jobs import now
from pipelines.workers import worker_name
hub = Hub.open(Settings(home=Path(sys.argv[1]), workers=1))
print(flush=True)
sys.stdin.readline()
done = [process_delivery(hub, name, worker=worker_name("test"), clock=now) for name in sys.argv[2:]]
print(json.dumps([delivery and delivery.state for delivery in done]))
hub.close()
"""
MAINTAIN = """
import select, sys
from pathlib import Path
from connectors.hub import Hub
from connectors.settings import Settings
from pipelines.jobs import now
from pipelines.maintenance import maintain
hub = Hub.open(Settings(home=Path(sys.argv[1])))
print(flush=True)
rounds = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    maintain(hub, at=now())
    rounds += 1
print(rounds)
hub.close()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the settings of a hub whose ledger is in one of the two databases."""
    if request.param == "sqlite":
        return {}
    return {"ledger_url": request.getfixturevalue("postgres_url")}


@pytest.fixture
def desk(tmp_path: Path, ipas: Any, ledger: dict[str, str]) -> Iterator[Any]:
    opened = ipas.open_desk(tmp_path / "hub", **ledger)
    yield opened
    opened.hub.close()


def start(script: str, desk: Any, *arguments: str) -> subprocess.Popen[str]:
    """Start a script on the desk's hub and wait until it is ready for its signal."""
    url = desk.hub.settings.ledger_url
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(desk.hub.home.root), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | ({"IPHUB_LEDGER_URL": url} if url else {}),
    )  # fmt: skip
    assert child.stdout is not None
    while child.stdout.readline() != "\n":
        assert child.poll() is None, child.communicate()
    return child


def go(*children: subprocess.Popen[str]) -> list[str]:
    """Let children go on at once; return the last line of each."""
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ended = [child.communicate(timeout=300) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), ended
    return [out.splitlines()[-1] for out, _ in ended]


def hand_in_some(desk: Any, ipas: Any) -> list[Any]:
    """Hand in an extraction and an update of each of two offices."""
    return [
        desk.hand_in(ipas.marks(*(ipas.mark(f"{o}{90001 + n}", word, office=o) for n in numbers)),
                     office=o, kind=kind)
        for o in ("KH", "MY")
        for word, numbers, kind in (
            ("FIRST", range(5), Kind.FULL_EXTRACTION), ("SECOND", range(2, 7), Kind.UPDATE),
        )
    ]  # fmt: skip


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, ipas: Any) -> dict[str, str]:
    """Return the digest of a hub in which one worker took everything, one after the other."""
    alone = ipas.open_desk(tmp_path_factory.mktemp("alone") / "hub")
    for delivery in hand_in_some(alone, ipas):
        alone.process(delivery)
    try:
        return without_history(alone)
    finally:
        alone.hub.close()


def without_history(desk: Any) -> dict[str, str]:
    return {name: part for name, part in digest_of(desk.hub).parts.items() if name != "history"}


def test_two_workers_on_the_same_delivery_have_one_effect(desk: Any, ipas: Any) -> None:
    delivery = desk.hand_in(ipas.marks(*(ipas.mark(f"KH{90001 + n}") for n in range(30))))
    workers = [start(TAKE, desk, delivery.deliveryId) for _ in range(2)]
    results = [json.loads(line) for line in go(*workers)]
    assert sorted(results, key=str) == [[State.PUBLISHED_WITH_FINDINGS], [None]]
    assert len(desk.served()) == 30
    steps = [step.state for step in desk.hub.ledger.deliveries.events(delivery.deliveryId)]
    assert steps == [State.RECEIVED, State.CHECKING, State.PUBLISHED_WITH_FINDINGS]
    with desk.hub.register.connect() as con:
        desk.hub.register.define_log(con, "trademarks", "KH", "log")
        assert con.execute("SELECT count(*), count(DISTINCT recordId) FROM log").fetchall() == [
            (30, 30)
        ]


def test_two_process_commands_at_once_end_as_one_would(
    desk: Any, ipas: Any, expected: dict[str, str]
) -> None:
    hand_in_some(desk, ipas)
    command = "import sys\nprint(flush=True)\nsys.stdin.readline()\nfrom iphub.cli import main\n"
    command += "sys.argv = ['iphub', 'process', '--home', sys.argv[1]]\nmain()\n"
    go(*(start(command, desk) for _ in range(2)))
    assert {each.state for each in desk.hub.ledger.deliveries.list()} <= set(DONE)
    assert without_history(desk) == expected


def test_maintenance_beside_writers_changes_nothing(
    desk: Any, ipas: Any, expected: dict[str, str]
) -> None:
    names = [delivery.deliveryId for delivery in hand_in_some(desk, ipas)]
    keeper, worker = start(MAINTAIN, desk), start(TAKE, desk, *names)
    (states,) = go(worker)
    (rounds,) = go(keeper)
    assert set(json.loads(states)) <= set(DONE)
    assert int(rounds) > 0
    maintain(desk.hub, at=desk.now)
    assert without_history(desk) == expected
