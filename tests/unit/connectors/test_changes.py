"""What a delivery changes is taken up in pieces that memory can hold."""

import json
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
            (con.sql("SELECT part FROM piece").fetchall(), len(con.sql(f"FROM {joined}")))
            for joined in pieces(con, delivery, "*", "sequence < 2")
        ]
    assert found == [([(1,)], 1), ([(2,)] * 2, 2), ([(3,)] * 2, 2)]


def test_the_side_in_memory_is_the_plan_however_large_it_is(tmp_path: Path) -> None:
    """As a file, only its size is known: a fifth of it was taken for a piece."""
    tenths = "(i // 10)::INT AS part, (i % 10)::INT AS sequence"
    plan = f"SELECT {tenths} FROM range(100000) t(i)"
    words = f"SELECT {tenths}, repeat('word', 99) AS words FROM range(30) t(i)"
    with duckdb.connect() as con:
        for name, rows in (("plan", plan), ("rows", words)):
            con.execute(f"COPY ({rows}) TO '{tmp_path / name}.parquet' (FORMAT parquet)")
        delivery = Changes(
            *("KH-1", "KH", Right.DESIGNS, tmp_path / "plan.parquet"),
            *([tmp_path / "rows.parquet"], 1, datetime.now(UTC)),
        )
        define_plan(con, delivery)
        for joined in pieces(con, delivery, "*", "TRUE"):
            (explained,) = con.execute(
                f"EXPLAIN (FORMAT json) SELECT words FROM {joined}"
            ).fetchall()
    (top,) = json.loads(explained[1])
    while top["name"].strip() != "HASH_JOIN":
        (top,) = top["children"]
    streamed, held = top["children"]
    assert ("words" in str(streamed), "words" in str(held)) == (True, False)
