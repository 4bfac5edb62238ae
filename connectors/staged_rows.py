"""Staged rows as DuckDB reads them: of all their columns, of which each file has only some.

Which columns there are stands in a file beside them that has no rows.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from connectors.register.engine import parquet
from connectors.schema import staged_schema
from ipregister.model import Right

_COLUMNS = "columns.parquet"


def write_columns(directory: Path, right: Right) -> None:
    """Write down which columns the rows of a right have that are staged in ``directory``."""
    pq.write_table(staged_schema(right).empty_table(), directory / _COLUMNS)


def with_columns(rows: Iterable[Path]) -> list[Path]:
    """Return files of staged rows behind what says their columns; files may have all of them."""
    files = list(rows)
    columns = {path: None for path in (file.with_name(_COLUMNS) for file in files) if path.exists()}
    return [*columns, *files]


def staged_rows(rows: Sequence[Path]) -> str:
    """Return the SQL that reads staged rows, ``connectors.schema.staged_schema``."""
    return parquet(with_columns(rows), "union_by_name = TRUE")
