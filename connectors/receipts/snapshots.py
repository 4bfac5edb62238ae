"""What was in files made before: the records of a snapshot, kept as long as receipts are.

A receipt of a file names its snapshot; which records that was stays known when the file itself
is long gone.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.faults import reach
from connectors.register import engine
from connectors.register.engine import literal, parquet

_CONTENTS = pa.schema([("recordId", pa.string())])


def keep_contents(root: Path, snapshot: str, records: Iterable[str]) -> None:
    """Note which records a snapshot holds, before anybody may read it; again is the same.

    Args:
        root: where receipts are kept.
        snapshot: its identifier; letters, digits and ``-`` only.
        records: identifiers, in any order.
    """
    folder = root / "snapshots"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{snapshot}.parquet"
    if path.exists():
        return
    unfinished = folder / f".{snapshot}.{os.getpid()}"
    with unfinished.open("wb") as sink:
        table = pa.table({"recordId": pa.array(sorted(records), pa.string())}, schema=_CONTENTS)
        pq.write_table(table, sink, compression="zstd", row_group_size=100_000)
        sink.flush()
        os.fsync(sink.fileno())
    reach("export.contents")
    unfinished.replace(path)


def size_of(root: Path, snapshot: str) -> int:
    """Return how many records a snapshot holds; none for one nothing was noted of."""
    path = root / "snapshots" / f"{snapshot}.parquet"
    return int(pq.read_metadata(path).num_rows) if path.exists() else 0


def contents(root: Path, snapshots: Iterable[str]) -> str:
    """Return the SQL of what these snapshots hold: ``snapshot`` and ``recordId``."""
    paths = [root / "snapshots" / f"{snapshot}.parquet" for snapshot in snapshots]
    if not (paths := [path for path in paths if path.exists()]):
        return "SELECT '' AS snapshot, '' AS recordId WHERE FALSE"
    files = parquet(paths, "filename = TRUE")
    return f"SELECT parse_filename(filename, TRUE) AS snapshot, recordId FROM {files}"


def contents_of(root: Path, record_id: str) -> list[str]:
    """Return the snapshots that hold a record."""
    folder = root / "snapshots"
    if not any(folder.glob("*.parquet")):
        return []
    con = engine.connect(temporary=root / ".spill")
    try:
        rows = con.execute(
            f"""
            SELECT DISTINCT parse_filename(filename, TRUE)
            FROM read_parquet({literal(folder / "*.parquet")}, filename = TRUE)
            WHERE recordId = ?
            """,
            [record_id],
        ).fetchall()
    finally:
        con.close()
    return [str(name) for (name,) in rows]
