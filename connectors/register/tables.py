"""The Delta tables of the register as they lie on disk: a log and a base per right.

They are made when they are first opened, and refused when a list of their files would say
something else than the table. What stands in them is ``store``.
"""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from urllib.parse import unquote
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import ColumnProperties, DeltaTable, WriterProperties

from connectors.schema import log_schema
from ipregister.errors import StoreError
from ipregister.model import Right

FOLDED_THROUGH = "foldedThrough"
"""Column of the base: every log row up to this ``changeSeq`` is contained in the base."""

RETENTION = timedelta(hours=48)
"""Files no reader can still be using are removed after this long."""

UNREADABLE = frozenset({"deletionVectors", "columnMapping"})
"""Features of Delta that make a list of files say something else than the table."""

RETENTION_HOURS = int(RETENTION.total_seconds() // 3600)

PRUNING = ("changeSeq", "recordId")
"""Columns whose least and greatest value let a reader leave out files and row groups."""

# Statistics and dictionaries of 400 columns cost more than they save: 9.6 instead of 16.1 µs per
# record, and at level 1 the files are as small as at level 3.
WRITER = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    max_row_group_size=10_000,
    default_column_properties=ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE"),
    column_properties={name: ColumnProperties(statistics_enabled="CHUNK") for name in PRUNING},
)


class Part(StrEnum):
    """The two tables of a right."""

    LOG = "log"
    BASE = "base"


def schema_of(right: Right, part: Part) -> pa.Schema:
    """Return the columns of a table; the base says in each row how much of the log it contains."""
    schema = log_schema(right)
    return schema if part is Part.LOG else schema.append(pa.field(FOLDED_THROUGH, pa.int64()))


def open_table(root: Path, right: Right, part: Part) -> DeltaTable:
    """Return a table of the register below ``root``; it is made when it is not there.

    Raises:
        StoreError: it uses what reading by a list of files would ignore, or has lost its log.
    """
    path = root / right / part
    # The folder alone is what a full disk or a kill left of a table that was being made.
    if not any((path / "_delta_log").glob("*.json")):
        if any(path.glob("office=*/*")):  # a new table here would be an empty register
            raise StoreError(f"{path} has lost its _delta_log: restore it from a backup.")
        DeltaTable.create(
            path,
            schema_of(right, part),
            mode="ignore",
            partition_by=["office"],
            configuration={
                "delta.logRetentionDuration": "interval 30 days",
                "delta.dataSkippingStatsColumns": ",".join(PRUNING),
                "delta.deletedFileRetentionDuration": f"interval {RETENTION_HOURS} hours",
            },
        )
    table = DeltaTable(path)
    _refuse_unreadable(table)
    return table


def files_of(table: DeltaTable, office: str | None = None) -> list[str]:
    """Return the paths of a table's files: all, or those with one office's rows.

    The library quotes them as in a URL, where a space of the hub's home is ``%20``.
    """
    of_it = None if office is None else [("office", "=", office)]
    return [unquote(path) for path in table.file_uris(file_pruning_predicate=of_it)]


def nothing(root: Path, right: Right, part: Part, office: str) -> Path:
    """Return a file of an office without rows, but with every column.

    It is read with the others: those from before a field was added do not have it.
    """
    schema = schema_of(right, part)
    columns = f"{crc32(schema.serialize()):08x}"
    path = root / right / f".{part}-{columns}" / f"office={office}" / "nothing.parquet"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{token_hex(4)}")
        place = schema.get_field_index("office")  # the folder says it, as in the table's files
        pq.write_table(schema.remove(place).empty_table(), fresh)
        fresh.replace(path)
    return path


def _refuse_unreadable(table: DeltaTable) -> None:
    """Refuse features that reading by file list would ignore.

    Raises:
        StoreError: the table uses deletion vectors or column mapping.
    """
    configuration = table.metadata().configuration
    vectors = configuration.get("delta.enableDeletionVectors") == "true"
    mapping = configuration.get("delta.columnMapping.mode", "none") != "none"
    # Switched off again, they may still be in the files there are.
    features = UNREADABLE.intersection(table.protocol().reader_features or ())
    if vectors or mapping or features:
        raise StoreError(
            f"{table.table_uri} uses deletion vectors or column mapping; rewrite it without."
        )
