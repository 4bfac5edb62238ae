"""What a delivery changes is taken up in pieces that memory can hold."""

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import changes
from connectors.changes import Changes, define_plan, pieces
from ipregister.model import Right


def test_a_piece_is_joined_with_its_own_part_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is one side of the join: of half a million changes it was too much, twice."""
    monkeypatch.setattr(changes, "PIECE_BYTES", 1)
    rows = [{"part": part, "sequence": n} for part in (1, 2, 3) for n in range(part)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "plan.parquet")
    staged = [tmp_path / f"{part}.parquet" for part in (1, 2, 3)]
    for part, path in enumerate(staged, start=1):
        pq.write_table(pa.Table.from_pylist([r for r in rows if r["part"] == part]), path)
    delivery = Changes(
        "KH-1", "KH", Right.DESIGNS, tmp_path / "plan.parquet", staged, 1, datetime.now(UTC)
    )
    with duckdb.connect() as con:
        define_plan(con, delivery)
        found = [
            (con.sql(f"SELECT part FROM {planned}").fetchall(), len(con.sql(f"FROM {own}")))
            for planned, own in pieces(con, delivery)
        ]
    assert found == [([(1,)], 1), ([(2,)] * 2, 2), ([(3,)] * 3, 3)]
