"""Backup and restore of a hub at work, and the serving store made anew from the register."""

import errno
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import pipelines.ingest as ingest
from connectors.arriving import locked
from connectors.backup.archive import UNFINISHED
from connectors.backup.cut import cut
from connectors.backup.homes import back_up, restore
from connectors.digest import digest_of
from connectors.home import Home
from connectors.hub import Hub
from connectors.ledger.columns import microseconds
from connectors.ledger.environments import check_copy
from connectors.rebuilding import rebuild_serving
from connectors.receipts.journal import Journal, Receipt, Route
from connectors.receipts.sealing import open_journals, seal_days, seals
from connectors.serving_store import Mark, PlaceUnknown
from connectors.settings import Settings
from iphub.cli import app
from ipregister.authorizations import Grant
from ipregister.deliveries import Kind
from ipregister.errors import ConfigurationError, InvalidRequest, UnreadableBackup
from ipregister.model import Disclosure, Right

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
LATE = datetime(2099, 1, 1, tzinfo=UTC)
FULL, EVERYTHING = Kind.FULL_EXTRACTION, Grant(frozenset(Disclosure))
KH = ("KH", Right.TRADEMARKS)


def documents(ipas: Any, office: str, count: int = 6) -> Iterator[tuple[str, Kind]]:
    """Yield an extraction and updates: new, changed, unchanged, held, vanished, restored."""
    records = [ipas.mark(f"{office}{90001 + n}", f"WORD {n}", office=office) for n in range(count)]
    yield ipas.marks(*records), FULL
    yield ipas.marks(ipas.mark(f"{office}90001", "CHANGED", office=office), records[1]), Kind.UPDATE
    yield ipas.marks(ipas.mark(f"{office}90002", filed="2999-01-01", office=office)), Kind.UPDATE
    yield ipas.marks(*records[1:]), FULL
    yield ipas.marks(ipas.mark(f"{office}90001", "BACK AGAIN", office=office)), Kind.UPDATE


def hand_in_all(desk: Any, ipas: Any) -> list[Any]:
    return [
        desk.hand_in(document, office=office, kind=kind)
        for office, count in (("KH", 5), ("MY", 2))
        for document, kind in islice(documents(ipas, office), count)
    ]


def opened(home: Path, **more: Any) -> Hub:
    return Hub.open(Settings(home=home, workers=1, **more))


def go_on(hub: Hub, at: datetime) -> list[str]:
    """Process what waits after every lease has ended; return what was taken to its end."""
    waiting = [delivery.deliveryId for delivery in hub.ledger.leases.waiting(at=at)]
    return [
        name
        for name in waiting
        if ingest.process_delivery(hub, name, worker="another", clock=lambda: at)
    ]


def iphub(*arguments: str | Path) -> Any:
    said = CliRunner().invoke(app, [*map(str, arguments), "--format", "json"])
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def iphub_elsewhere(*arguments: str | Path) -> Any:
    command = [sys.executable, "-m", "iphub", *map(str, arguments), "--format", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def places(hub: Hub, marks: list[Mark] | None = None) -> list[Mark]:
    """Return where a reader with every right stands after reading all there is."""
    return hub.serving.changes({KH: EVERYTHING}, marks, 10_000).marks


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory, ipas: Any) -> Iterator[Any]:
    """A hub that has processed everything, and its backup by the command."""
    folder = tmp_path_factory.mktemp("worked")
    desk = ipas.open_desk(folder / "hub")
    for delivery in hand_in_all(desk, ipas):
        desk.process(delivery)
    # Late: one record was overtaken by a newer delivery, one only an older extraction had.
    late = ipas.marks(ipas.mark("KH90001", "LATE"), ipas.mark("KH91111", "LATE"))
    desk.deliver(late, names=("KH_20200101.xml",))
    given = iphub("third-party", "add", "Reader", "--home", folder / "hub")
    shares = ("--office", "KH", "--third-party", "Reader", "--rights", "trademarks", "--by", "Dara")
    iphub("authorization", "set", "--home", folder / "hub", *shares)
    desk.hub.ledger.proofs.use("a proof of possession", until=NOW, at=NOW)  # kept in a file
    made = iphub("backup", "--home", folder / "hub", "--output", folder)
    yield SimpleNamespace(
        desk=desk, hub=desk.hub, made=made, file=Path(made["path"]), secret=given["clientSecret"]
    )
    desk.hub.close()


def test_a_restored_hub_is_the_same_hub(worked: Any, tmp_path: Path) -> None:
    restored = iphub("restore", worked.file, "--home", tmp_path / "new")
    before = iphub("digest", "--home", worked.hub.home.root)
    assert iphub("digest", "--home", tmp_path / "new") == before
    assert restored["cutAt"] == worked.made["cutAt"]
    assert restored["cutAt"].endswith("Z")
    assert restored["stores"] == worked.made["stores"]
    assert {"ledger.sqlite", "serving.sqlite", "landing", "register", "findings", "keys"} == set(
        restored["stores"]
    )
    assert restored["rtoSeconds"] > 0
    assert restored["rpoSeconds"] > 0


def test_a_backup_holds_keys_and_is_for_its_owner_alone(worked: Any, tmp_path: Path) -> None:
    assert worked.file.stat().st_mode & 0o777 == 0o600
    restore(worked.file, Settings(home=tmp_path / "new"), at=NOW)
    for name in ("keys/pepper", "ledger.sqlite", "serving.sqlite"):
        assert (tmp_path / "new" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert Home(tmp_path / "new").pepper() == worked.hub.home.pepper()


def test_who_may_pass_through_a_restored_home_reads_nothing_in_it(
    worked: Any, tmp_path: Path
) -> None:
    """As nginx's user, which is let through to the prepared files of a restored home, too."""
    iphub("restore", worked.file, "--home", tmp_path / "new")
    open_to_others = [path for path in (tmp_path / "new").iterdir() if path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_a_backup_holds_nothing_to_present_as_a_client(worked: Any) -> None:
    content = worked.file.read_bytes()
    assert b"Reader" in content
    assert worked.secret.encode() not in content


def test_the_digest_tells_hubs_apart(worked: Any, tmp_path: Path, ipas: Any) -> None:
    restore(worked.file, Settings(home=tmp_path / "new"), at=NOW)
    desk = ipas.open_desk(tmp_path / "new")
    before = digest_of(desk.hub)
    desk.now = worked.desk.now
    desk.deliver(ipas.marks(ipas.mark("KH90003", "OTHER WORD")))
    after = digest_of(desk.hub)
    desk.hub.close()
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == set(
        before.parts
    )


def test_a_damaged_backup_is_refused_and_leaves_nothing(worked: Any, tmp_path: Path) -> None:
    whole = worked.file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for name, content in {
        "flipped": bytes(flipped), "cut": whole[: len(whole) // 2], "empty": b"",
        "no manifest": whole[: whole.rindex(b"manifest.json") // 512 * 512] + bytes(1024),
        "no backup": b"PK" * 5_000,
    }.items():  # fmt: skip
        damaged = tmp_path / name
        damaged.write_bytes(content)
        with pytest.raises(UnreadableBackup, match="backup"):
            restore(damaged, Settings(home=tmp_path / "new"), at=NOW)
        damaged.unlink()
        assert list(tmp_path.iterdir()) == []


def test_a_backup_of_another_environment_is_refused_and_leaves_nothing(
    worked: Any, tmp_path: Path
) -> None:
    elsewhere = Settings(home=tmp_path / "new", environment="acceptance")
    with pytest.raises(ConfigurationError, match=r"production environment.*says acceptance"):
        restore(worked.file, elsewhere, at=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_from_before_there_were_environments_is_nobodys_yet(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "ledger.sqlite").close()
    check_copy(tmp_path / "ledger.sqlite", "acceptance")


def test_nothing_is_overwritten(worked: Any, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/precious").touch()
    with pytest.raises(InvalidRequest, match="not empty"):
        restore(worked.file, Settings(home=tmp_path / "new"), at=NOW)
    with pytest.raises(InvalidRequest, match="there already"):
        back_up(worked.hub, worked.file, at=NOW)


def test_a_backup_is_never_written_into_the_home_it_is_of(worked: Any, tmp_path: Path) -> None:
    """It would hold all backups before it, and so be twice as large every time."""
    (tmp_path / "link").symlink_to(worked.hub.home.root)
    for inside in (worked.hub.home.root, tmp_path / "link" / "backups" / "a.tar"):
        with pytest.raises(InvalidRequest, match="would be in the home that is backed up"):
            back_up(worked.hub, inside, at=NOW)
    assert not (worked.hub.home.root / "backups").exists()


def test_a_mounted_file_system_is_refused_before_a_ledger_is_filled(
    worked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(_: Path) -> None:  # as the system says of a place where something is mounted
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    home, ledger = tmp_path / "new", tmp_path / "elsewhere.sqlite"
    home.mkdir()
    monkeypatch.setattr(Path, "rmdir", busy)
    with pytest.raises(InvalidRequest, match=r"mounted.*a new directory in it"):
        restore(worked.file, Settings(home=home, ledger_url=f"sqlite:///{ledger}"), at=NOW)
    assert list(tmp_path.iterdir()) == [home]


def test_a_backup_that_is_being_written_stays_and_one_of_a_killed_process_goes(
    worked: Any, tmp_path: Path
) -> None:
    living, killed = (tmp_path / f".{name}.tar{UNFINISHED}" for name in ("living", "killed"))
    killed.touch()
    with living.open("wb") as held:
        assert locked(held.fileno())
        with pytest.raises(InvalidRequest, match="written by another process"):
            back_up(worked.hub, tmp_path / "living.tar", at=NOW)
        assert list(tmp_path.glob(".*")) == [living]
    back_up(worked.hub, tmp_path / "living.tar", at=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["living.tar"]


def test_receipts_that_are_sealed_while_they_are_copied_are_in_the_backup(
    desk: Any, tmp_path: Path
) -> None:
    root, copied = desk.hub.home.receipts, tmp_path / "copied"
    day = microseconds(NOW - timedelta(days=1))
    journal = Journal(root)
    journal.append(Receipt(day, "r1", "tp", "Acme", "KH", "trademarks", Route.RECORD, 1, 1, ["A"]))
    journal.close()
    with cut(desk.hub) as entries:
        for entry in entries:
            if entry.name.startswith("receipts/"):
                seal_days(root, desk.hub.ledger, at=NOW, by="test")
            if entry.required or entry.path.exists():
                (copied / entry.name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(entry.path, copied / entry.name)
    assert len(seals(root)) == 1
    assert len(seals(copied / "receipts")) + len(open_journals(copied / "receipts")) == 1


@pytest.mark.parametrize("step", ["append_to_register", "publish_to_serving", "move"])
def test_a_backup_of_a_half_published_delivery_goes_on_to_the_same_digest(
    desk: Any, ipas: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    first, last, late = (desk.hand_in(d, kind=k) for d, k in islice(documents(ipas, "KH"), 3))
    desk.process(first)
    with monkeypatch.context() as stopped:

        def stop(*_: object, **__: object) -> None:
            raise InterruptedError

        stopped.setattr(ingest, step, stop)
        with pytest.raises(InterruptedError):
            desk.process(last)
    made = back_up(desk.hub, tmp_path / "half.tar", at=NOW)
    for home in (tmp_path / "hub", tmp_path / "new"):
        if home.name == "new":
            restore(made.path, Settings(home=home), at=NOW)
        hub = opened(home)
        assert go_on(hub, LATE) == [last.deliveryId, late.deliveryId]
        assert not list((home / "staging").glob("[!.]*"))  # what is hidden is kept for the next
        hub.close()
    new = opened(tmp_path / "new")
    assert digest_of(desk.hub) == digest_of(new)
    new.close()


WORKER = """
import sys
from pathlib import Path
from connectors.hub import Hub
from connectors.settings import Settings
from pipelines.ingest import process_delivery
from pipelines.jobs import now
hub = Hub.open(Settings(home=Path(sys.argv[1]), workers=1))
for waiting in hub.ledger.leases.waiting():
    process_delivery(hub, waiting.deliveryId, worker="worker", clock=now)
hub.close()
"""


def test_backups_taken_while_a_worker_publishes_all_lead_to_the_same_state(
    desk: Any, ipas: Any, tmp_path: Path
) -> None:
    deliveries = [desk.hand_in(document, kind=kind) for document, kind in documents(ipas, "KH")]
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "hub")])
    made, finished = list[Path](), set[int]()
    while worker.poll() is None:
        states = [desk.hub.ledger.deliveries.get(d.deliveryId).receipt for d in deliveries]
        count = sum(receipt is not None for receipt in states)
        if count in finished:
            sleep(0.02)
            continue
        finished.add(count)
        made.append(back_up(desk.hub, tmp_path / f"{len(made)}.tar", at=NOW).path)
    assert worker.returncode == 0
    expected = digest_of(desk.hub)
    assert len(made) >= 3
    for number, backup in enumerate(made[:: max(1, len(made) // 2)]):
        restore(backup, Settings(home=tmp_path / f"new{number}"), at=NOW)
        hub = opened(tmp_path / f"new{number}")
        go_on(hub, LATE)
        found = digest_of(hub)
        hub.close()
        assert {n for n, d in found.parts.items() if d != expected.parts[n]} <= {"history"}


def test_a_ledger_on_postgresql_is_backed_up_and_restored_to_either(
    postgres_url: str, tmp_path: Path, ipas: Any
) -> None:
    base, _, name = postgres_url.rpartition("/")
    desk = ipas.open_desk(tmp_path / "hub", ledger_url=postgres_url)
    for document, kind in documents(ipas, "KH"):
        desk.deliver(document, kind=kind)
    made = back_up(desk.hub, tmp_path / "backup.tar", at=NOW)
    with pytest.raises(ConfigurationError, match="not empty"):
        restore(made.path, Settings(home=tmp_path / "same", ledger_url=postgres_url), at=NOW)
    assert not (tmp_path / "same").exists()
    restore(made.path, Settings(home=tmp_path / "sqlite"), at=NOW)
    hub = opened(tmp_path / "sqlite")
    assert hub.ledger.verify() is None
    assert digest_of(hub) == digest_of(desk.hub)
    hub.close()
    desk.hub.close()
    import psycopg  # an extra, so only here

    plain = postgres_url.replace("+psycopg", "", 1)
    with psycopg.connect(plain.replace(name, "postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}_2"')  # type: ignore[arg-type]
        try:
            second = f"{base}/{name}_2"
            restore(made.path, Settings(home=tmp_path / "pg", ledger_url=second), at=NOW)
            hub, old = opened(tmp_path / "pg", ledger_url=second), opened(tmp_path / "sqlite")
            assert digest_of(hub) == digest_of(old)
            assert not (tmp_path / "pg/ledger.sqlite").exists()
            hub.close()
            old.close()
        finally:
            connection.execute(f'DROP DATABASE "{name}_2" WITH (FORCE)')  # type: ignore[arg-type]


def test_readers_go_on_from_before_the_backup_and_start_again_from_after_it(
    desk: Any, ipas: Any, tmp_path: Path
) -> None:
    first, second, *_ = documents(ipas, "KH")
    desk.deliver(first[0], kind=first[1])
    before = places(desk.hub)
    made = back_up(desk.hub, tmp_path / "backup.tar", at=NOW)
    desk.deliver(second[0], kind=second[1])
    after = places(desk.hub, before)
    restore(made.path, Settings(home=tmp_path / "new"), at=NOW)
    new = ipas.open_desk(tmp_path / "new")
    new.now = desk.now
    new.deliver(ipas.marks(ipas.mark("KH90004", "ANOTHER HISTORY")))
    (item,) = new.hub.serving.changes({KH: EVERYTHING}, before, 100).items
    assert b"ANOTHER HISTORY" in item
    with pytest.raises(PlaceUnknown):
        places(new.hub, after)
    new.hub.close()


def test_a_rebuilt_serving_store_is_the_same_and_readers_go_on(worked: Any, tmp_path: Path) -> None:
    shutil.copytree(worked.hub.home.root, tmp_path / "hub")
    expected = digest_of(worked.hub)
    reader = opened(tmp_path / "hub")
    marks = places(reader)
    answer = iphub_elsewhere("rebuild-serving", "--home", tmp_path / "hub")
    assert answer["cursorsSurvive"] is True
    assert answer["records"] == sum(worked.hub.serving.totals().values())
    assert digest_of(reader) == expected, "a reader that has the file open goes on"
    assert places(reader, marks) == marks
    reader.close()
    for damage in (Path.unlink, lambda path: path.write_bytes(b"no database" * 1_000)):
        damage((home := Home(tmp_path / "hub")).serving)
        for suffix in ("-wal", "-shm"):
            home.serving.with_name(home.serving.name + suffix).unlink(missing_ok=True)
        made = rebuild_serving(worked.hub.register, home.serving, at=NOW)
        assert not made.cursors_survive
        hub = opened(tmp_path / "hub")
        assert digest_of(hub) == expected
        with pytest.raises(PlaceUnknown):
            places(hub, marks)
        hub.close()


def test_a_backup_waits_for_the_publication_it_would_cut(desk: Any, tmp_path: Path) -> None:
    """Another process holds the gate as a publication does; the backup comes after it."""
    holder = (
        "import sys\nfrom pathlib import Path\nfrom connectors.hub import Hub\n"
        "from connectors.settings import Settings\n"
        "with Hub.open(Settings(home=Path(sys.argv[1]))).gate.passing():\n"
        "    print(flush=True)\n    sys.stdin.read()\n"
        "    (Path(sys.argv[1]) / 'published').touch()\n"
    )
    home = str(desk.hub.home.root)
    publisher = subprocess.Popen(
        [sys.executable, "-c", holder, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert publisher.stdout is not None
    publisher.stdout.readline()
    backup = subprocess.Popen(
        [sys.executable, "-m", "iphub", "backup", "--home", home, "--output", str(tmp_path / "b")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # A process that waits for a lock has an arrow before its line.
    while not re.search(rf"-> .* {backup.pid} ", Path("/proc/locks").read_text()):
        assert backup.poll() is None
        sleep(0.01)
    publisher.communicate(b"go")
    assert backup.wait(60) == 0
    names = subprocess.run(["tar", "-tf", str(tmp_path / "b")], capture_output=True, text=True)
    assert "published" in names.stdout.splitlines()
