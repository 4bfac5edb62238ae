"""Small deliveries are read in a process beside the one that starts; it makes no difference."""

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors import checking
from connectors.hub import Hub
from connectors.settings import Settings
from ipregister.deliveries import State
from pipelines import ahead
from pipelines.ahead import Reading
from pipelines.expecting import reading_expected


@pytest.fixture
def desk(tmp_path: Path, ipas: Any) -> Iterator[Any]:
    """A hub that may use a second process, where a good and a bad record wait."""
    desk = ipas.Desk(Hub.create(Settings(home=tmp_path / "hub", workers=2)))
    yield desk
    desk.hub.close()


@pytest.fixture
def waiting(desk: Any, ipas: Any) -> Any:
    return desk.hand_in(ipas.marks(ipas.mark(), ipas.mark("KH/90002/2019", filed="2091-01-01")))


@pytest.fixture
def reads_nothing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process fail where it reads; one beside it has a module of its own."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was read at its turn")

    monkeypatch.setattr(checking, "check", fail)


def left(desk: Any) -> list[Path]:
    return list(desk.hub.home.root.glob("staging/ahead-*"))


def test_what_is_read_ahead_is_what_is_read_at_its_turn(
    desk: Any, waiting: Any, tmp_path: Path
) -> None:
    own = Reading.of(desk.hub, waiting, tmp_path / "own").run()
    with reading_expected(desk.hub):
        taken = ahead.take(waiting.deliveryId, tmp_path / "taken")

    assert taken is not None
    assert taken.staged.directory == tmp_path / "taken"
    assert (taken.staged.read, taken.staged.rejected) == (own.staged.read, own.staged.rejected)
    assert [path.name for path in taken.findings] == [path.name for path in own.findings]
    for mine, theirs in zip(
        [*own.staged.rows, *own.findings], [*taken.staged.rows, *taken.findings], strict=True
    ):
        assert pq.read_table(mine).equals(pq.read_table(theirs))
    assert own.findings
    assert left(desk) == []


@pytest.mark.usefixtures("reads_nothing_itself")
def test_every_small_delivery_is_read_ahead(desk: Any, waiting: Any, ipas: Any) -> None:
    second = desk.hand_in(ipas.marks(ipas.mark(word="NOVALUMA")))
    with reading_expected(desk.hub):
        done = [desk.process(each) for each in (waiting, second)]

    assert {each.state for each in done} == {State.PUBLISHED_WITH_FINDINGS}
    assert desk.served()["KH/90001/2019"]["markVerbalElements"][0]["text"] == "NOVALUMA"
    assert list(desk.hub.home.root.glob("staging/[!.]*")) == []


def test_a_reader_that_died_costs_its_work_and_no_more(desk: Any, waiting: Any) -> None:
    died: Future[Any] = Future()
    died.set_exception(BrokenProcessPool())
    with reading_expected(desk.hub):
        written, _ = ahead._begun[waiting.deliveryId]
        ahead._begun[waiting.deliveryId] = written, died
        assert desk.process(waiting).state is State.PUBLISHED_WITH_FINDINGS


def test_what_nobody_takes_is_given_up(desk: Any, waiting: Any) -> None:
    with reading_expected(desk.hub):
        assert list(ahead._begun) == [waiting.deliveryId]

    assert left(desk) == []
    assert ahead._begun == {}


def test_nothing_is_begun_for_nobody(desk: Any, tmp_path: Path, ipas: Any) -> None:
    with reading_expected(desk.hub):
        assert ahead._begun == {}
    alone = ipas.open_desk(tmp_path / "alone")
    alone.hand_in(ipas.marks(ipas.mark()))
    with reading_expected(alone.hub):
        assert ahead._begun == {}
    alone.hub.close()
