"""``kill -9`` while a delivery is taken back, read again, exported, backed up, restored, pushed.

A hub runs an errand and is killed at a point; the night sweeps; the errand is begun again, and
must end exactly as one that was never killed. A reader who looks on sees the hub as it was
before or as it is after, and nothing between.
"""

import runpy
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from connectors.backup.archive import extract
from connectors.hub import Hub
from connectors.settings import Settings
from ipregister.errors import UnreadableBackup

NAMES = runpy.run_path(str(Path(__file__).with_name("points.py")))
ALL, OF_ERRANDS, SHARED, beginning = (
    NAMES[name] for name in ("ALL", "OF_ERRANDS", "SHARED", "beginning")
)
ELSEWHERE = {"fold.batch", "landing.chunk", "restore.ledger"}
"""Points an errand may not pass: see ``test_kills``; a file that is read; a ledger elsewhere."""

SAMPLE = [
    ("revert", "revert.marked"), ("reprocess", "reprocess.served"), ("export", "export.filed"),
    ("backup", "backup.entry"), ("restore", "restore.entry"), ("rebuild", "rebuild.opened"),
    ("push", "upload.kept"),
]  # fmt: skip
EVERY = [
    (errand, point)
    for errand, own in OF_ERRANDS.items()
    for point in beginning(*own, *SHARED.get(errand, ()))
]


def whole_files(home: Path, _hubs: Any) -> dict[str, int]:
    """Return the prepared files that are served, by content; each is what its manifest says."""
    hub = Hub.open(Settings(home=home))
    store, found = hub.exports().store, {}
    for path in (home / "exports" / "manifests").glob("*.json"):
        snapshot = store.snapshot(path.stem)
        assert snapshot is not None
        made = (store.files / snapshot.file).read_bytes()
        assert (sha256(made).hexdigest(), len(made)) == (snapshot.sha256, snapshot.bytes)
        found[snapshot.sha256] = snapshot.records
    hub.close()
    return found


def whole_backups(home: Path, hubs: Any) -> set[str]:
    """Return the states of the backups there are; one without its name is refused or whole."""
    states = set()
    for path in home.with_suffix(".backups").iterdir():
        with TemporaryDirectory(dir=home.parent) as folder:
            into = Path(folder) / "hub"
            try:
                extract(path, into)
            except UnreadableBackup:
                assert path.name.startswith(".")
            else:
                states.add(hubs.digest(into).state)
    return states


def whole_home(home: Path, hubs: Any) -> set[str]:
    """Return the state of the restored home, if there is one."""
    restored = home.with_suffix(".restored")
    return {hubs.digest(restored).state} if restored.exists() else set()


MADE: dict[str, Callable[[Path, Any], Any]] = {
    "export": whole_files,
    "backup": whole_backups,
    "restore": whole_home,
}
"""What an errand makes beside the hub's own state; whatever there is must be whole."""


def leftovers(home: Path) -> list[str]:
    """Return what is hidden beside a home: unfinished backups and restores."""
    beside = [
        *home.parent.glob(f".{home.name}.restored.restoring-*"),
        *home.with_suffix(".backups").glob(".*"),
    ]
    return [path.name for path in beside]


@pytest.mark.parametrize("errand", OF_ERRANDS)
def test_an_errand_passes_its_points_and_leaves_nothing(
    errands: Any, hubs: Any, errand: str
) -> None:
    errands.learn(errand)
    own = {point for name, point in EVERY if name == errand}
    assert own - set(errands.passed[errand]) <= ELSEWHERE
    assert hubs.orphans(errands.killing.folder / f"golden-{errand}") == []


@pytest.mark.parametrize(("errand", "point"), EVERY if ALL else SAMPLE)
@pytest.mark.parametrize("passage", ["first", "last"] if ALL else ["last"])
def test_a_killed_errand_ends_as_one_that_never_was(
    errands: Any, hubs: Any, errand: str, point: str, passage: str
) -> None:
    errands.learn(errand)
    hits = errands.passed[errand].get(point, 0)
    if (hits == 0 and point in ELSEWHERE) or (hits == 1 and passage == "first"):
        return
    killing, golden = errands.killing, errands.killing.folder / f"golden-{errand}"
    home = killing.fresh(f"{errand}-{point}-{passage}".replace(".", "-"), of="third")
    witness = errands.witness(home, errand)
    witness.start()
    ended = killing.errand(errand, home, point=point, hit=1 if passage == "first" else hits)
    log = home.with_suffix(".log").read_text()
    made = MADE.get(errand, lambda *_: set())
    early = made(home, hubs)
    hubs.age(home)
    again = killing.errand(errand, home)
    witness.stop()
    assert ended == -9, log
    assert again == 0, home.with_suffix(".log").read_text()
    assert witness.troubles == []
    assert witness.rounds > 0
    assert errands.differing(home, errand) <= {"history"}
    assert set(early) <= set(made(home, hubs))
    assert made(home, hubs) == made(golden, hubs)
    assert hubs.orphans(home) == []
    assert leftovers(home) == []


def test_a_restore_killed_after_it_filled_a_database_asks_for_another_one(
    errands: Any, postgres_url: str
) -> None:
    home, more = errands.killing.fresh("filled", of="third"), {"ledger_url": postgres_url}
    assert errands.killing.errand("restore", home, point="restore.ledger", hit=1, more=more) == -9
    assert errands.killing.errand("restore", home, more=more) == 2
    assert "is not empty" in (told := home.with_suffix(".log").read_text()), told
    assert "restore into a new database" in told
    assert not home.with_suffix(".restored").exists()
    assert leftovers(home) == []
