"""The register's Delta tables: what a list of their files would get wrong is refused."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, TableFeatures, write_deltalake

from connectors.register.cutting import files_now
from connectors.register.store import RegisterStore
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
