"""Rows of the log by their number, with no more than tells which fields have a value."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.register.earlier import earlier_rows
from ipregister.errors import StoreError

PARTY = pa.struct([("name", pa.string()), ("city", pa.string()), ("phones", pa.list_(pa.string()))])
OLDER = pa.schema([("changeSeq", pa.int64()), ("filed", pa.date32()), ("words", pa.string())])
NEWER = OLDER.append(pa.field("parties", pa.list_(PARTY)))
ROWS = [
    {"changeSeq": 11, "words": "one", "parties": [{"name": "A", "phones": ["1"]}]},
    {"changeSeq": 12, "words": "two", "parties": []},
    {"changeSeq": 13, "words": None, "parties": None},
    {"changeSeq": 14, "words": "four", "parties": [{"city": "B"}, {}]},
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files of the log, small row groups; the older one was written before lists came."""
    older, newer = tmp_path / "older.parquet", tmp_path / "newer.parquet"
    rows = [{"changeSeq": number, "words": "old"} for number in range(1, 6)]
    pq.write_table(pa.Table.from_pylist(rows, OLDER), older, row_group_size=2)
    pq.write_table(pa.Table.from_pylist(ROWS, NEWER), newer, row_group_size=2)
    return [str(older), str(newer)]


def test_only_what_is_asked_for_is_read(files: list[str]) -> None:
    found = earlier_rows(files, [12, 3, 14], ["words", "parties.city"])

    assert sorted(found.to_pylist(), key=lambda row: row["changeSeq"]) == [
        {"changeSeq": 3, "words": "old", "parties": None},
        {"changeSeq": 12, "words": "two", "parties": []},
        {"changeSeq": 14, "words": "four", "parties": [{"city": "B"}, {"city": None}]},
    ]


def test_a_list_is_as_long_by_any_of_its_members(files: list[str]) -> None:
    found = earlier_rows(files, [11, 12, 13, 14], ["parties"])

    parties = [row["parties"] for row in found.to_pylist()]
    assert [None if each is None else len(each) for each in parties] == [1, 0, None, 2]


def test_members_that_are_lists_tell_whether_they_have_something(files: list[str]) -> None:
    found = earlier_rows(files, [11, 14], ["parties.phones", "parties.name"])

    assert found["parties"].to_pylist() == [
        [{"name": "A", "phones": ["1"]}],
        [{"name": None, "phones": None}, {"name": None, "phones": None}],
    ]


def test_what_no_file_has_is_no_column(files: list[str]) -> None:
    assert earlier_rows(files, [11], ["parties.fax", "agents"]).column_names == ["changeSeq"]


def test_a_change_that_is_not_there_is_trouble(files: list[str]) -> None:
    with pytest.raises(StoreError, match="1 of 2"):
        earlier_rows(files, [11, 99], ["words"])
