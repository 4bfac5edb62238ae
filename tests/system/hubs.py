"""A hub whose processes may be stopped at any point, and a reader that looks on.

Loaded by ``conftest.py``; the processes are ``killing.py``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from connectors.backup.homes import back_up
from connectors.digest import Digest, digest_of
from connectors.hub import Hub
from connectors.serving_store import START, Filters, ServingStore
from connectors.settings import Settings
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

SYSTEM, ROOT = Path(__file__).parent, Path(__file__).parents[2]
FIRST_DAY = datetime(2026, 11, 22, 3, tzinfo=UTC)
SECOND_DAY, THIRD_DAY = FIRST_DAY + timedelta(days=1), FIRST_DAY + timedelta(days=2)
KH, EVERYTHING = ("KH", Right.TRADEMARKS), Grant(frozenset(Disclosure))
RECORDS = 12
PUSHED = b"<pushed/>" * 2_000


@dataclass
class Killing:
    """The process that forks hubs, and folders for them."""

    folder: Path
    process: Any
    golden: Digest | None = None
    passed: dict[str, int] = field(default_factory=dict)

    def errand(self, name: str, home: Path, **asked: Any) -> int:
        """Let a hub run one errand on its third day; return how its process ended."""
        return self.day(home, THIRD_DAY, errand=name, **asked)

    def day(self, home: Path, at: datetime, **asked: Any) -> int:
        """Let a hub live one day; return how its process ended."""
        request = {"home": str(home), "tree": str(self.folder / "tree"), "at": at.isoformat()}
        request |= {"log": str(home.with_suffix(".log")), **asked}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def fresh(self, name: str, folder: Path | None = None, *, of: str = "first") -> Path:
        """Return a copy of the hub as it was in the morning of the second day, or another one."""
        home = (folder or self.folder) / name
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.folder / of, home)
        return home

    def differing(self, home: Path) -> set[str]:
        """Return the parts of the digest that are not as if nothing had happened."""
        assert self.golden is not None
        found = digest(home)
        return {name for name, part in found.parts.items() if part != self.golden.parts[name]}


def killable(folder: Path, ipas: Any) -> Iterator[Killing]:
    """Lend a hub after its first day, and how its second day ends when nobody is killed."""
    process = subprocess.Popen(
        [sys.executable, str(SYSTEM / "killing.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    killed = Killing(folder, process)
    lane = folder / "tree" / "Trademarks"
    for name in ("Full_Extraction", "Updates"):
        (lane / name).mkdir(parents=True)
    (lane / "Full_Extraction/KH_20261101.zip").write_bytes(version(ipas, 1))
    assert killed.day(folder / "first", FIRST_DAY) == 0, (folder / "first.log").read_text()
    (lane / "Full_Extraction/KH_20261115.zip").write_bytes(version(ipas, 2))
    (lane / "Updates/KH_20261116.zip").write_bytes(version(ipas, 3))
    golden = killed.fresh("golden")
    assert killed.day(golden, SECOND_DAY) == 0, (folder / "golden.log").read_text()
    killed.golden = digest(golden)
    killed.passed = json.loads((folder / "golden.points").read_text())
    yield killed
    process.communicate()


def version(ipas: Any, number: int) -> bytes:
    """Return a ZIP of two documents; from the second on one mark is gone, two are new."""
    numbers = range(RECORDS) if number == 1 else range(1, RECORDS + 2)
    records = [ipas.mark(f"KH{90001 + n}", f"VERSION {number}") for n in numbers]
    half = len(records) // 2
    return ipas.zipped({"a.xml": ipas.marks(*records[:half]), "b.xml": ipas.marks(*records[half:])})  # type: ignore[no-any-return]


def digest(home: Path) -> Digest:
    hub = Hub.open(Settings(home=home, workers=1))
    try:
        return digest_of(hub)
    finally:
        hub.close()


class Reader(threading.Thread):
    """Reads page, record and feed over and over; notes every error and every mixture."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self._store = ServingStore(home / "serving.sqlite")
        self._done = threading.Event()
        self.rounds, self.latest, self.troubles = 0, 0, list[str]()

    def run(self) -> None:
        while not self._done.is_set() and not self.troubles:
            try:
                self._look()
            except Exception as exc:
                self.troubles.append(repr(exc))
            self.rounds += 1
            time.sleep(0.01)
        self._store.close()

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _look(self) -> None:
        page = self._store.page(*KH, EVERYTHING, Filters(), after=START, limit=1_000)
        self._note("page", page.bodies)
        feed = self._store.changes({KH: EVERYTHING}, None, 1_000)
        self._note("feed", [item for item in feed.items if b'"changeType":"upsert"' in item])
        name = json.loads(page.bodies[-1])["recordId"]
        body = self._store.record(*KH, name, EVERYTHING)
        assert body is not None
        self._note("record", [body])

    def _note(self, what: str, bodies: list[bytes]) -> None:
        seen = {int(re.findall(rb"VERSION (\d)", body)[0]) for body in bodies}
        wanted = 1 if what == "record" else RECORDS + (seen != {1})
        if len(seen) != 1 or len(bodies) != wanted or min(seen) < self.latest:
            self.troubles.append(f"{what}: {len(bodies)} of {seen} after {self.latest}")
        self.latest = max(seen)


Look = tuple[bytes, ...]
"""What a reader gets: a page, or the feed."""


def looks(store: ServingStore) -> list[Look]:
    """Return what a reader with every right gets."""
    page = store.page(*KH, EVERYTHING, Filters(), after=START, limit=1_000)
    return [tuple(page.bodies), tuple(store.changes({KH: EVERYTHING}, None, 1_000).items)]


class Witness(threading.Thread):
    """Reads over and over; notes whatever is neither as before nor as after, or goes back."""

    def __init__(self, home: Path, *states: list[Look]) -> None:
        super().__init__(daemon=True)
        self._store, self._states = ServingStore(home / "serving.sqlite"), states
        self._done = threading.Event()
        self.rounds, self.stands, self.troubles = 0, [0, 0], list[str]()

    def run(self) -> None:
        while not self._done.is_set() and not self.troubles:
            try:
                for place, seen in enumerate(looks(self._store)):
                    self._note(place, [state[place] for state in self._states].index(seen))
            except Exception as exc:
                self.troubles.append(repr(exc)[:500])
            self.rounds += 1
            time.sleep(0.01)
        self._store.close()

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _note(self, place: int, stands: int) -> None:
        if stands < self.stands[place]:
            self.troubles.append(f"{place}: {stands} after {self.stands[place]}")
        self.stands[place] = stands


@dataclass
class Errands:
    """A hub in the morning of its third day, and how each errand ends when nobody is killed."""

    killing: Killing
    passed: dict[str, dict[str, int]] = field(default_factory=dict)
    golden: dict[str, Digest] = field(default_factory=dict)
    looks: dict[str, list[list[Look]]] = field(default_factory=dict)

    def learn(self, errand: str) -> None:
        """Run an errand to its end, once, and keep how that was."""
        if errand in self.golden:
            return
        home = self.killing.fresh(f"golden-{errand}", of="third")
        log = home.with_suffix(".log")
        assert self.killing.errand(errand, home) == 0, log.read_text()
        self.passed[errand] = json.loads(home.with_suffix(".points").read_text())
        self.golden[errand] = digest(home)
        between = range(1, self.passed[errand].get("reprocess.manifest", 0))
        self.looks[errand] = [*map(self._look_after_delivery, between), self.look(home)]

    def _look_after_delivery(self, number: int) -> list[Look]:
        """Return what readers get when the first deliveries were read again, each at once."""
        home = self.killing.fresh("between", of="third")
        self.killing.errand("reprocess", home, point="reprocess.manifest", hit=number)
        return self.look(home)

    def look(self, home: Path) -> list[Look]:
        """Return what readers of a hub get."""
        store = ServingStore(home / "serving.sqlite")
        try:
            return looks(store)
        finally:
            store.close()

    def witness(self, home: Path, errand: str) -> Witness:
        """Return a reader who knows the hub before and after an errand."""
        return Witness(home, self.look(self.killing.folder / "third"), *self.looks[errand])

    def differing(self, home: Path, errand: str) -> set[str]:
        """Return the parts of the digest that are not as if nobody had been killed."""
        parts = digest(home).parts
        return {name for name in parts if parts[name] != self.golden[errand].parts[name]}


def third_day(killed: Killing, ipas: Any) -> Errands:
    """Prepare a hub for errands: its newest delivery confirms a record, a client pushes files."""
    home = killed.fresh("third", of="golden")
    desk = ipas.open_desk(home)
    desk.now = SECOND_DAY
    confirmed = ipas.marks(ipas.mark("KH90006", "VERSION 3"))
    desk.deliver(confirmed, names=("KH_20261117.xml",))
    client, _ = desk.hub.ledger.clients.add(name="a", office="KH", at=desk.now, by="test")
    announced = desk.hub.ledger.uploads.announce(
        client.clientId, "KH", name="b.xml", sha256=sha256(PUSHED).hexdigest(),
        bytes=len(PUSHED), at=desk.now,
    )  # fmt: skip
    (killed.folder / "file-id").write_text(announced.fileId)
    back_up(desk.hub, killed.folder / "kept.tar", at=desk.now)
    desk.hub.close()
    return Errands(killed)


def orphans(home: Path) -> list[str]:
    """Return the files of a home that belong to nothing."""
    hub = Hub.open(Settings(home=home))
    deliveries = hub.ledger.deliveries.list()
    hub.close()
    landed = {file.sha256 for each in deliveries for file in each.files}
    known = {each.deliveryId for each in deliveries}
    found = [p for p in home.glob("landing/**/*") if p.is_file() and p.name not in landed]
    found += [p for p in home.glob("findings/*") if p.name.removesuffix(".parquet") not in known]
    found += [p for p in home.glob("staging/*") if p.name not in (".spill", ".rules")]
    found += [*home.glob("staging/.spill/*"), *home.glob("register/.spill/*")]
    found += [*home.glob("register/*/.*-empty.*[0-9]"), *home.glob(".backup-*")]
    found += [*home.glob("**/*.unfinished"), *home.glob(".serving.sqlite.rebuilt*")]
    found += [*home.glob("exports/work/*"), *home.glob("receipts/snapshots/.*")]
    found += [path for path in home.glob("exports/[mqf]a*/*") if path.suffix != ".json"]
    found += [path for path in home.glob("exports/queue/*") if path.suffix != ".json"]
    manifests = "".join(path.read_text() for path in home.glob("exports/manifests/*.json"))
    found += [p for p in home.glob("exports/files/*") if p.name.partition(".")[0] not in manifests]
    for table in home.glob("register/*/*/_delta_log"):
        mentioned = "".join(entry.read_text() for entry in table.glob("*.json"))
        parquet = table.parent.glob("office=*/*.parquet")
        found += [path for path in parquet if path.name not in mentioned]
    return sorted(str(path.relative_to(home)) for path in found)


def age(home: Path) -> None:
    """Let three days pass for the register's files: the vacuum spares what is younger than two."""
    then = time.time() - 3 * 86_400
    for path in home.glob("register/**/*.parquet"):
        os.utime(path, (then, then))
