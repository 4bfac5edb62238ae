"""Staged rows: files with the columns their rows have, read as rows with all columns."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors.register.engine import staged_rows
from connectors.schema import staged_schema
from connectors.staged_rows import write_columns
from connectors.staging import parts
from connectors.staging.parts import RowFile
from ipregister.model import Right

MARKS = Right.TRADEMARKS
PLAIN = {"recordId": "a", "part": 1, "sequence": 0}
CLASSED = {"recordId": "b", "part": 1, "sequence": 1, "goodsServices": [{"classNumber": 9}]}
NOTED = {"recordId": "d", "part": 1, "sequence": 3, "disclaimers": [{"text": "no right"}]}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RowFile:
    """Four rows in groups of one, of which the second and the last bring a new column."""
    monkeypatch.setattr(parts, "BATCH_ROWS", 1)
    monkeypatch.setattr(parts, "GROUP_BATCHES", 1)
    file = RowFile(tmp_path / "rows-00001.parquet", staged_schema(MARKS), sparse=True)
    for row in (PLAIN, CLASSED, PLAIN | {"recordId": "c", "sequence": 2}, NOTED):
        file.add(row)
    return file


def all_rows(directory: Path) -> list[dict[str, Any]]:
    write_columns(directory, MARKS)
    files = staged_rows(sorted(directory.glob("rows-*.parquet")))
    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT * FROM {files} ORDER BY part, sequence").to_arrow_table()
    assert found.column_names == staged_schema(MARKS).names
    return [{k: v for k, v in row.items() if v is not None} for row in found.to_pylist()]


def test_no_value_is_lost_where_later_rows_bring_another_column(
    written: RowFile, tmp_path: Path
) -> None:
    written.close()
    found = all_rows(tmp_path)
    assert [row["recordId"] for row in found] == ["a", "b", "c", "d"]
    assert found[0] == PLAIN
    assert [item["classNumber"] for item in found[1]["goodsServices"]] == [9]
    assert [item["text"] for item in found[3]["disclaimers"]] == ["no right"]


def test_a_file_has_only_columns_its_rows_have(written: RowFile, tmp_path: Path) -> None:
    written.close()
    names = [set(pq.read_schema(path).names) for path in sorted(tmp_path.glob("rows-*.parquet"))]
    assert names == [set(PLAIN), set(CLASSED), set(NOTED)]


def test_what_is_discarded_leaves_no_file(written: RowFile, tmp_path: Path) -> None:
    written.discard()
    written.close()
    assert list(tmp_path.iterdir()) == []


def test_files_with_all_columns_need_nothing_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "rows-00001.parquet"
    pq.write_table(staged_schema(MARKS).empty_table(), path)
    with duckdb.connect() as connection:
        assert connection.sql(f"SELECT count(*) FROM {staged_rows([path])}").fetchall() == [(0,)]
