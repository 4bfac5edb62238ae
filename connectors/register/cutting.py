"""The register's files at one instant: what a backup copies while others write.

A Delta table at a version is a list of files that never change, and the log up to there. Files
a later version removes stay on disk for ``tables.RETENTION``, longer than any copy takes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from deltalake import DeltaTable

from connectors.register.tables import files_of

LOG = "_delta_log"


def files_now(root: Path) -> list[Path]:
    """Return every file that the register consists of now.

    Bases come before logs: what a base says is folded must be in the log that is kept with it.
    """
    found: list[Path] = []
    tables = sorted(path.parent for path in root.rglob(LOG) if any(path.glob("*.json")))
    for table in tables:
        found += _files_of(table)
    known = set(tables)
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not hidden and known.isdisjoint(path.parents):
            found.append(path)
    return found


def _files_of(table: Path) -> Iterator[Path]:
    delta = DeltaTable(table)
    version = delta.version()
    yield from map(Path, files_of(delta))
    for entry in sorted((table / LOG).iterdir()):
        if entry.name == "_last_checkpoint":
            if json.loads(entry.read_text("utf-8"))["version"] <= version:
                yield entry
        elif entry.is_file() and entry.name[:20].isdigit() and int(entry.name[:20]) <= version:
            yield entry
