"""Days that are over become two Parquet files and a line in the audit chain.

``sealed/<day>.<n>`` holds ``requests.parquet``, ``named.parquet`` and ``seal.json``; the chain
keeps the digest of the seal, so a receipt that is changed or removed afterwards shows. A day is
sealed wholly or not at all; journals go only when their seal is in the chain.
"""

import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.alone import in_turn
from connectors.ledger import Ledger
from connectors.receipts.journal import day_of, journals, read_journal
from connectors.receipts.tables import tables_of

SEALED = "receipts:sealed"
"""Action of the audit row of a seal; its subject is the seal's name."""

GRACE = timedelta(hours=1)
"""How long after midnight an answer that began before it may still be written down."""

SEAL = "seal.json"
FILES = ("requests.parquet", "named.parquet")


@dataclass(frozen=True, slots=True)
class BrokenSeal:
    """A seal that does not hold, and why."""

    name: str
    reason: str


def seal_days(root: Path, ledger: Ledger, *, at: datetime, by: str) -> list[str]:
    """Seal every day that is over; return the names of the new seals.

    May run beside writers, readers and another one that seals, and again after a crash at any
    point.
    """
    with in_turn(root.parent, "seals"):
        finish_seals(root, ledger, at=at, by=by)
        days: dict[str, list[Path]] = defaultdict(list)
        for journal in open_journals(root):
            if day_of(journal) + timedelta(days=1) + GRACE <= at:
                days[f"{day_of(journal):%Y-%m-%d}"].append(journal)
        made = [_seal(root, day, found) for day, found in sorted(days.items())]
        finish_seals(root, ledger, at=at, by=by)
    return made


def finish_seals(root: Path, ledger: Ledger, *, at: datetime, by: str) -> None:
    """Note seals that the chain does not know yet, then drop the journals they hold."""
    for folder in seals(root):
        if not ledger.audit.entries(subject=folder.name, limit=1):
            seal = _seal_of(folder)
            after = {name: seal[name] for name in ("requests", "named", "sha256")}
            ledger.audit.note(at=at, by=by, action=SEALED, subject=folder.name, after=after)
        for name in held_by(folder):
            (journals(root) / name).unlink(missing_ok=True)


def seals(root: Path) -> list[Path]:
    """Return the folders of the sealed days, oldest first."""
    return sorted(path for path in (root / "sealed").glob("*.*") if (path / SEAL).exists())


def held_by(folder: Path) -> list[str]:
    """Return the names of the journals that a seal holds."""
    names: list[str] = _seal_of(folder)["journals"]
    return names


def open_journals(root: Path) -> list[Path]:
    """Return the journals no seal holds, oldest first."""
    held = {name for folder in seals(root) for name in held_by(folder)}
    found = journals(root).glob("*") if journals(root).exists() else ()
    return sorted(path for path in found if path.name not in held)


def broken_seals(root: Path, ledger: Ledger) -> Iterator[BrokenSeal]:
    """Yield the seals that were changed, removed or added behind the chain's back."""
    known = {entry.subject: dict(entry.after) for entry in ledger.audit.of_action(SEALED)}  # type: ignore[arg-type]
    present = {folder.name: folder for folder in seals(root)}
    for name in sorted(known.keys() - present.keys()):
        yield BrokenSeal(name, "its files are not there")
    for name, folder in present.items():
        if name not in known:
            yield BrokenSeal(name, "the audit chain does not know it")
        elif known[name]["sha256"] != _digest(folder):
            yield BrokenSeal(name, "its files were changed after it was sealed")


def _seal(root: Path, day: str, found: list[Path]) -> str:
    sealed = root / "sealed"
    sealed.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = sum(1 for _ in sealed.glob(f"{day}.*")) + 1
    name = f"{day}.{number}"
    unfinished = sealed / f".{name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    receipts = (receipt for path in sorted(found) for receipt in read_journal(path))
    tables = tables_of(name, receipts)
    for file, table, order in zip(FILES, tables, (["at"], ["recordId"]), strict=True):
        rows = table.sort_by([(column, "ascending") for column in [*order, "request"]])
        _write(unfinished / file, rows)
    seal = {
        "journals": sorted(path.name for path in found),
        "requests": tables[0].num_rows,
        "named": tables[1].num_rows,
        "sha256": _digest(unfinished),
    }
    with (unfinished / SEAL).open("w", encoding="utf-8") as sink:
        json.dump(seal, sink)
        sink.flush()
        os.fsync(sink.fileno())
    unfinished.rename(sealed / name)
    return name


def _write(path: Path, table: pa.Table) -> None:
    with path.open("wb") as sink:
        pq.write_table(table, sink, compression="zstd", row_group_size=100_000)
        sink.flush()
        os.fsync(sink.fileno())


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:
        with (folder / name).open("rb") as source:
            digest.update(hashlib.file_digest(source, "sha256").digest())
    return digest.hexdigest()


def _seal_of(folder: Path) -> dict[str, Any]:
    seal: dict[str, Any] = json.loads((folder / SEAL).read_text("utf-8"))
    return seal
