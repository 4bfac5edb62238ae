"""Files of staged rows: each has the columns of its own rows, one beside them has all and no row.

How they are written is ``staging``, how they are read ``register.engine``.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

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
