"""The register's Delta tables: what a list of their files would get wrong is refused."""

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, TableFeatures, write_deltalake

from connectors.register.cutting import files_now
from connectors.register.store import RegisterStore
from connectors.register.tables import FOLDED_THROUGH
from connectors.schema import log_schema
from ipregister.errors import StoreError
from ipregister.model import Right

SCHEMA = pa.schema([("office", pa.string()), ("changeSeq", pa.int64())])
VECTORS = {"delta.enableDeletionVectors": "true"}
MAPPING = {"delta.columnMapping.mode": "name"}


def table(root: Path, **configuration: str) -> DeltaTable:
    """Make the log of a right as another engine might leave it."""
    return DeltaTable.create(
        root / Right.DESIGNS / "log", SCHEMA, partition_by=["office"], configuration=configuration
    )


def test_a_plain_table_is_read(tmp_path: Path) -> None:
    table(tmp_path)
    assert RegisterStore(tmp_path).offices(Right.DESIGNS) == []


def test_a_table_whose_making_was_broken_off_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / Right.DESIGNS / "log" / "_delta_log").mkdir(parents=True)
    assert files_now(tmp_path) == []
    assert RegisterStore(tmp_path).offices(Right.DESIGNS) == []


def test_a_table_that_lost_its_log_is_no_empty_register(tmp_path: Path) -> None:
    write_deltalake(table(tmp_path), pa.table({"office": ["KH"], "changeSeq": [1]}), mode="append")
    shutil.rmtree(tmp_path / Right.DESIGNS / "log" / "_delta_log")
    with pytest.raises(StoreError, match="has lost its _delta_log"):
        RegisterStore(tmp_path).offices(Right.DESIGNS)


@pytest.mark.parametrize("configuration", [VECTORS, MAPPING], ids=["vectors", "mapping"])
def test_a_table_that_hides_rows_or_renames_columns_is_refused(
    tmp_path: Path, configuration: dict[str, str]
) -> None:
    table(tmp_path, **configuration)
    with pytest.raises(StoreError, match="deletion vectors or column mapping"):
        RegisterStore(tmp_path).offices(Right.DESIGNS)


@pytest.mark.parametrize("feature", [TableFeatures.DeletionVectors, TableFeatures.ColumnMapping])
def test_switched_off_again_it_is_still_refused(tmp_path: Path, feature: TableFeatures) -> None:
    # The switch says what the next writer does, the feature what may be in the files there are.
    table(tmp_path).alter.add_feature(feature, allow_protocol_versions_increase=True)
    with pytest.raises(StoreError, match="deletion vectors or column mapping"):
        RegisterStore(tmp_path).offices(Right.DESIGNS)


def test_a_register_from_before_a_member_was_added_takes_and_shows_it(tmp_path: Path) -> None:
    schema = log_schema(Right.DESIGNS)
    added = schema.field("designs").type.value_type.field("expiryDate")
    before = pa.schema(
        [
            pa.field("designs", pa.list_(pa.struct([("identifier", pa.string())])))
            if field.name == "designs"
            else field
            for field in schema
        ]
    )
    row = {"office": "KH", "changeSeq": 1, "deliveryId": "one", "held": False, "op": "insert"}
    row |= {"recordId": "KH1", "officeOrder": "1", "designs": [{"identifier": "1"}]}
    for part in ("log", "base"):
        path = tmp_path / Right.DESIGNS / part
        fields = [*before, *([pa.field(FOLDED_THROUGH, pa.int64())] if part == "base" else [])]
        DeltaTable.create(path, pa.schema(fields), partition_by=["office"])
    log = tmp_path / Right.DESIGNS / "log"
    write_deltalake(log, pa.Table.from_pylist([row], before), mode="append")
    store = RegisterStore(tmp_path)
    store.fold(Right.DESIGNS, "KH")
    day = date(2024, 5, 2)
    newer = row | {"changeSeq": 2, "deliveryId": "two", "recordId": "KH2"}
    newer |= {"designs": [{"identifier": "1", added.name: day}]}
    rows = pa.Table.from_pylist([newer], schema).to_reader()
    store.append(Right.DESIGNS, rows, "two")
    store.fold(Right.DESIGNS, "KH")
    with store.connect() as con:
        store.define_visible(con, Right.DESIGNS, "visible")
        found = con.sql(
            f"SELECT recordId, designs[1].{added.name} FROM visible ORDER BY ALL"
        ).fetchall()
    assert found == [("KH1", None), ("KH2", day)]
