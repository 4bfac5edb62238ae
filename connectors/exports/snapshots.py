"""Prepared files that are ready, and how long they stay.

A file is named by its content and never changed; a manifest names it by its task. Both appear
whole or not at all, because they are written elsewhere and moved. What waits to be prepared is
``store``.
"""

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from connectors.exports.tasks import Snapshot
from connectors.faults import reach
from ipregister.model import Right

RETENTION = timedelta(days=7)
"""How long a snapshot can be had again, from when it was made."""

BUDGET_BYTES = 20 << 30
"""What all files may take; the oldest go first, whatever their age. About 400 files of a
million records each as Parquet."""


class Snapshots:
    """Files and their manifests below one directory; who may alter them is for ``store``."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, in which ``directories`` must be there before something is added."""
        self.files, self._manifests = root / "files", root / "manifests"
        self.directories = (self.files, self._manifests)

    def find(self, key: str) -> Snapshot | None:
        """Return what is ready under a key; nothing also when its file was removed."""
        try:
            found = msgspec.json.decode(self._manifest(key).read_bytes(), type=Snapshot)
        except FileNotFoundError:
            return None
        return found if (self.files / found.file).exists() else None

    def add(self, key: str, made: Path, snapshot: Snapshot) -> None:
        """Take over a file, which must be on disk, and name it by its task."""
        made.rename(self.files / snapshot.file)
        reach("export.filed")
        write_whole(self._manifest(key), snapshot)
        reach("export.listed")

    def forget(self, office: str, right: Right) -> None:
        """Remove what names the files of a right; they go themselves when next is pruned."""
        for path in self._manifests.glob("*.json"):
            found = self.find(path.stem)
            if found is not None and (found.office, found.right) == (office, right):
                path.unlink(missing_ok=True)

    def prune(self, now: datetime, budget: int) -> int:
        """Remove what is too old or too much, the oldest first; return how many bytes went."""
        kept: dict[str, int] = {}
        manifests = [
            (msgspec.json.decode(path.read_bytes(), type=Snapshot), path)
            for path in self._manifests.glob("*.json")
        ]
        for snapshot, path in sorted(manifests, key=lambda entry: entry[0].at, reverse=True):
            wanted = {**kept, snapshot.file: snapshot.bytes}
            if now - snapshot.at > RETENTION or sum(wanted.values()) > budget:
                path.unlink(missing_ok=True)
            else:
                kept = wanted
        freed = 0
        for path in self.files.iterdir():
            if path.name not in kept:
                freed += path.stat().st_size
                path.unlink(missing_ok=True)  # who is reading it reads on
        return freed

    def _manifest(self, key: str) -> Path:
        return self._manifests / f"{key}.json"


def write_whole(path: Path, value: msgspec.Struct) -> None:
    """Put a small file in its place, whole or not at all."""
    # Beside its place: the builder empties the directory where files are made.
    written = path.with_suffix(f".{secrets.token_hex(8)}")
    written.write_bytes(msgspec.json.encode(value))
    reach("export.unfinished")
    written.replace(path)
