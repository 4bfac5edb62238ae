"""Random histories of uploads and visits: nothing is taken early, nothing is lost.

The office's folder is a dictionary here, so that thousands of steps cost a second; the real
servers and uploaders are in the other tests.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from connectors.collection.fetching import RESUMABLE_BYTES
from connectors.collection.pacing import Patience
from connectors.sftp.files import RemoteFile
from connectors.sftp.listing import Listing
from ipregister.deliveries import State
from ipregister.errors import IncompleteDelivery, OfficeUnreachable

LANE = "Trademarks/Updates"
PATIENCE = Patience(pauses=(1.0,))


@dataclass
class Folder:
    """An office's folder and its uploaders; every step may happen between any two reads."""

    random: random.Random
    zipped: object
    now: int = 1_790_000_000
    files: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    whole: dict[str, set[str]] = field(default_factory=dict)
    made: int = 0
    calm: bool = False

    def step(self) -> None:
        """Let the office do one thing: begin, go on, pause, die, start again, finish, replace."""
        self.now += self.random.choice([0, 1, 1, 5, 120, 4000])
        growing = [name for name in self.uploads if self.files[name] != self.uploads[name]]
        choice = self.random.random()
        if not growing or choice < 0.15:
            self.begin(f"KH_2026{self.random.randint(1001, 1009)}.zip")
        elif choice < 0.8:
            name = self.random.choice(growing)
            have = len(self.files[name])
            size = self.random.choice([1, 1000, 50_000, len(self.uploads[name])])
            self.write(name, self.uploads[name][: have + size])
        elif choice < 0.85:
            del self.uploads[self.random.choice(growing)]  # killed: the stump stays for ever
        elif choice < 0.9:
            self.begin(self.random.choice(growing))  # begun again from nothing
        # else: paused

    def begin(self, name: str) -> None:
        self.made += 1
        size = self.random.choice([10, 5000, RESUMABLE_BYTES + 100_000])
        data = self.zipped(f"{self.made}.xml", filling=self.random.randbytes(size))
        self.uploads[name] = data
        self.whole.setdefault(name, set()).add(hashlib.sha256(data).hexdigest())
        self.write(name, data[: self.random.choice([0, 100, len(data)])])

    def write(self, name: str, data: bytes) -> None:
        self.files[name] = data
        preserved = data == self.uploads[name] and self.random.random() < 0.3
        self.times[name] = 1_592_352_000 + self.made if preserved else self.now

    def finish(self) -> None:
        """Let every upload that was begun come to its end; after that nothing happens."""
        self.calm = True
        for name, data in self.uploads.items():
            self.now += 1
            self.write(name, data)

    def list(self, office: str) -> Listing:
        return Listing(
            [
                RemoteFile(f"{LANE}/{name}", len(data), self.times[name])
                for name, data in sorted(self.files.items())
            ]
        )

    def fetch(self, office, files, starts) -> Iterator["Reading"]:
        for file in files:
            yield Reading(self, file, starts.get(file.path, 0))


class Reading:
    """One file being read while the office goes on; the line may break."""

    def __init__(self, folder: Folder, file: RemoteFile, start: int) -> None:
        self.folder, self.file, self.at = folder, file, start
        self.name = file.path.rpartition("/")[2]

    def read(self, size: int, /) -> bytes:
        luck = 1.0 if self.folder.calm else self.folder.random.random()
        if luck < 0.1:
            self.folder.step()
        elif luck < 0.15:
            raise OfficeUnreachable("the line broke")
        data = self.folder.files[self.name]
        piece = data[self.at : min(self.at + min(size, 60_000), self.file.size)]
        self.at += len(piece)
        seen = len(data), self.folder.times[self.name]
        if not piece and seen != (self.file.size, self.file.mtime):
            raise IncompleteDelivery("changed while it was being read")
        return piece


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_nothing_is_taken_early_and_nothing_is_lost(first, intake, zipped):
    for seed in range(first, first + 25):
        # An office of its own for every history; opening a new ledger would take longer.
        _one_history(seed, f"{chr(65 + seed // 26)}{chr(65 + seed % 26)}", intake, zipped)


def _one_history(seed, office, intake, zipped):
    folder = Folder(random.Random(seed), zipped)

    @contextmanager
    def connect(office, budget):
        yield folder

    visits = intake.visits(connect, PATIENCE)
    for _ in range(12):
        for _ in range(folder.random.randint(1, 4)):
            folder.step()
        span = folder.random.choice([1, 3, 120, 7200])
        visits.one(office, at=intake.later(seconds=span), insist=True)
        folder.now += span
    folder.finish()
    for _ in range(6):
        visits.one(office, at=intake.later(hours=2), insist=True)

    taken: dict[str, list[str]] = {}
    for delivery in intake.ledger.deliveries.list(office):
        for file in delivery.files if delivery.state is State.RECEIVED else ():
            taken.setdefault(file.name, []).append(file.sha256)
            stored = intake.landing.path(file.sha256).read_bytes()
            assert hashlib.sha256(stored).hexdigest() == file.sha256
    for name, found in taken.items():
        assert set(found) <= folder.whole[name], (seed, name)
    for name in folder.uploads:
        assert hashlib.sha256(folder.files[name]).hexdigest() in taken.get(name, []), (seed, name)
    assert list(intake.landing.root.glob(".*")) == []
