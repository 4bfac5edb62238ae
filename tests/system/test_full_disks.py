"""No room, no memory, no lock: the hub stops cleanly, loses nothing, and goes on afterwards.

At a step the disk is filled to the last byte (a small one of its own, as root), or the
process may write no file longer than a byte. A reader looks on throughout.
"""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ipregister.deliveries import Kind, State
from ipregister.errors import StoreError

WAY = "tmpfs" if os.geteuid() == 0 else "limit"
STEPS = {
    "landing": "collect.observed",
    "staged rows": "stage.opened",
    "register's log": "log.opened",
    "serving store": "serving.begun",
    "ledger": "publish.served",
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small disk of its own, where we may have one."""
    path = tmp_path / "disk"
    path.mkdir()
    if WAY != "tmpfs":
        yield path
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "iphub-test", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_stops_cleanly_and_nothing_is_lost(
    killing: Any, hubs: Any, disk: Path, tmp_path: Path, step: str
) -> None:
    home, log = killing.fresh("hub", disk), tmp_path / "day.log"
    reader = hubs.Reader(home)
    reader.start()
    ended = killing.day(home, hubs.SECOND_DAY, point=STEPS[step], how=WAY, log=str(log))
    told = log.read_text()
    assert ended in (2, 3), told
    assert reader.troubles == []
    # The ledger comes last: readers have the delivery by then, as they will afterwards.
    assert reader.latest == (2 if step == "ledger" else 1)
    (disk / "filler").unlink(missing_ok=True)
    hubs.age(home)
    again = killing.day(home, hubs.SECOND_DAY, log=str(log))
    reader.stop()
    assert again == 0, log.read_text()
    assert (reader.troubles, reader.latest) == ([], 3)
    assert killing.differing(home) <= {"history"}
    assert hubs.orphans(home) == []


@pytest.mark.parametrize(
    ("errand", "point"),
    [
        ("revert", "revert.planned"), ("revert", "revert.marked"), ("revert", "revert.folded"),
        ("export", "export.begun"), ("backup", "backup.begun"), ("rebuild", "rebuild.whole"),
    ],
)  # fmt: skip
def test_an_errand_without_room_is_done_when_there_is_some(
    errands: Any, hubs: Any, disk: Path, tmp_path: Path, errand: str, point: str
) -> None:
    errands.learn(errand)
    home, log = errands.killing.fresh("hub", disk, of="third"), tmp_path / "errand.log"
    witness = errands.witness(home, errand)
    witness.start()
    ended = errands.killing.errand(errand, home, point=point, how=WAY, log=str(log))
    assert ended == 2, log.read_text()
    (disk / "filler").unlink(missing_ok=True)
    hubs.age(home)
    again = errands.killing.errand(errand, home, log=str(log))
    witness.stop()
    assert again == 0, log.read_text()
    assert witness.troubles == []
    assert errands.differing(home, errand) <= {"history"}
    assert hubs.orphans(home) == []
    assert list(home.with_suffix(".backups").glob(".*")) == []


def test_with_little_memory_a_day_may_end_early_and_is_gone_on_with(
    killing: Any, hubs: Any
) -> None:
    """Libraries abort (-6), crash (-11) or are not loaded (127) where memory is refused."""
    home = killing.fresh("poor")
    log = home.with_suffix(".log")
    ended = killing.day(home, hubs.SECOND_DAY, memory=1 << 30)
    assert ended in (0, 2, 3, -6, -11, 127), log.read_text()
    hubs.age(home)
    assert killing.day(home, hubs.SECOND_DAY) == 0, log.read_text()
    assert killing.differing(home) <= {"history"}


def test_while_the_ledger_is_locked_readers_read_and_nothing_is_lost(
    tmp_path: Path, ipas: Any
) -> None:
    url = f"sqlite:///{tmp_path}/hub/ledger.sqlite?timeout=0.2"
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=url)
    desk.deliver(ipas.marks(ipas.mark("KH90001", "BEFORE")))
    waiting = desk.hand_in(ipas.marks(ipas.mark("KH90001", "AFTER")))
    blocker = sqlite3.connect(tmp_path / "hub/ledger.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        desk.process(waiting)
    with pytest.raises(StoreError, match="database is locked"):
        desk.hand_in(ipas.marks(ipas.mark("KH90002")), kind=Kind.UPDATE)
    assert desk.hub.ledger.access(b"no such token", desk.now, None) is None
    assert b"BEFORE" in desk.served_bytes()["KH90001"]
    blocker.execute("ROLLBACK")
    blocker.close()
    assert desk.process(waiting).state is State.PUBLISHED_WITH_FINDINGS
    assert b"AFTER" in desk.served_bytes()["KH90001"]
    assert desk.hub.ledger.verify() is None
    desk.hub.close()


def test_a_reversal_whose_end_finds_the_ledger_locked_is_finished_later(
    tmp_path: Path, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Register and readers are without the delivery when the ledger stops answering."""
    import pipelines.reverting as reverting

    url = f"sqlite:///{tmp_path}/hub/ledger.sqlite?timeout=0.2"
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=url)
    desk.deliver(ipas.marks(ipas.mark("KH90001", "BEFORE")))
    regretted = desk.deliver(ipas.marks(ipas.mark("KH90001", "AFTER")))
    blocker = sqlite3.connect(tmp_path / "hub/ledger.sqlite", isolation_level=None)
    real = reverting.publish_reversal

    def publish(*arguments: Any) -> None:
        real(*arguments)
        blocker.execute("BEGIN IMMEDIATE")

    def take_back() -> Any:
        return reverting.revert(
            desk.hub, regretted.deliveryId, by="Som", reason="a test file", at=desk.now
        )

    with monkeypatch.context() as locking:
        locking.setattr(reverting, "publish_reversal", publish)
        with pytest.raises(StoreError, match="database is locked"):
            take_back()
    assert b"BEFORE" in desk.served_bytes()["KH90001"]
    blocker.execute("ROLLBACK")
    blocker.close()
    assert desk.hub.ledger.deliveries.get(regretted.deliveryId).reversal is None
    assert take_back().reversal == {"removed": 0, "restored": 0, "changedBack": 1, "kept": 0}
    assert b"BEFORE" in desk.served_bytes()["KH90001"]
    assert desk.hub.ledger.verify() is None
    desk.hub.close()


def test_a_ledger_that_is_locked_in_the_middle_is_gone_on_with_later(
    tmp_path: Path, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery is in the register and with readers when the ledger stops answering."""
    import pipelines.ingest as ingest

    url = f"sqlite:///{tmp_path}/hub/ledger.sqlite?timeout=0.2"
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=url)
    waiting = desk.hand_in(ipas.marks(ipas.mark("KH90001", "ONCE")))
    blocker = sqlite3.connect(tmp_path / "hub/ledger.sqlite", isolation_level=None)
    real = ingest.publish_to_serving

    def publish(*arguments: Any) -> None:
        real(*arguments)
        blocker.execute("BEGIN IMMEDIATE")

    with monkeypatch.context() as locking:
        locking.setattr(ingest, "publish_to_serving", publish)
        with pytest.raises(StoreError, match="database is locked"):
            desk.process(waiting)
    assert b"ONCE" in desk.served_bytes()["KH90001"]
    blocker.execute("ROLLBACK")
    blocker.close()
    desk.now += timedelta(days=1)  # the lease of the worker that gave up has ended
    assert desk.process(waiting).receipt.inserted == 1
    (item,) = desk.hub.serving.changes({("KH", waiting.right): ipas.EVERYTHING}, None, 10).items
    assert b"ONCE" in item
    desk.hub.close()
