"""Records as columns: from the JSON a client may see to Arrow batches, Parquet, Arrow streams.

The columns are the table's fields of the allowed classes; a column of any other class is
absent. Everything a file says about itself (statistics, dictionaries, row groups) comes from
the rows and columns that are in it, because nothing else is ever read here.

Standards: Apache Parquet, Apache Arrow IPC streaming format.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from connectors.exports.sink import Sink
from connectors.schema import canonical_fields
from ipregister.model import Right

ROW_GROUP = 10_000
"""Records of a row group: 20 MB of JSON. Constant: its size tells nothing but a number of rows."""


def schema_of(right: Right, names: Iterable[str]) -> pa.Schema:
    """Return the columns ``names`` of a right, in table order."""
    wanted = frozenset(names)
    return pa.schema([field for field in canonical_fields(right) if field.name in wanted])


def to_table(schema: pa.Schema, bodies: Sequence[bytes]) -> pa.Table:
    """Return records (JSON objects) as a table; a member the schema lacks is left out.

    It costs a hundredth of a second for the columns alone: give it thousands at a time.
    """
    if not bodies:
        return schema.empty_table()
    text = b"\n".join(bodies)
    read = pj.read_json(
        pa.BufferReader(text),
        # One block: a record may not straddle two, and no batch of ours is large.
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema([_as_text(field) for field in schema]),
            unexpected_field_behavior="ignore",
        ),
    )
    return read.select(schema.names).cast(schema)


Bound = str | int | bool | None

MAX_BOUND = 200
"""Characters of a bound; a longer one helps nobody to skip a file."""


def bounds(path: Path) -> dict[str, tuple[Bound, Bound, int]]:
    """Return smallest and largest value and missing values of the plain columns of a file.

    They come from the footer, so from the rows in the file; a column without a value has none.
    """
    found: dict[str, tuple[Bound, Bound, int]] = {}
    with pq.ParquetFile(path) as file:
        footer = file.metadata
        for place in range(footer.num_columns):
            name = footer.schema.column(place).path
            if "." in name:
                continue
            groups = [footer.row_group(n).column(place) for n in range(footer.num_row_groups)]
            stats = [group.statistics for group in groups if group.is_stats_set]
            if len(stats) < len(groups):
                continue
            known = [entry for entry in stats if entry.has_min_max]
            least = min((entry.min for entry in known), default=None)
            most = max((entry.max for entry in known), default=None)
            missing = sum(entry.null_count for entry in stats)
            if max(len(str(least)), len(str(most))) <= MAX_BOUND:
                found[name] = (_plain(least), _plain(most), missing)
    return found


def _plain(value: object) -> Bound:
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, str | int | bool) else None


class ParquetEncoder:
    """Records to Parquet (zstd), piece by piece; memory of one row group."""

    def __init__(self, schema: pa.Schema) -> None:
        """Start a file with the columns of ``schema``."""
        self._schema = schema
        self._sink = Sink()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd", version="2.6")
        self._waiting: list[bytes] = []

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Take records in and return the bytes that became ready."""
        self._waiting += bodies
        while len(self._waiting) >= ROW_GROUP:
            self._write(self._waiting[:ROW_GROUP])
            self._waiting = self._waiting[ROW_GROUP:]
        return self._sink.drain()

    def finish(self) -> bytes:
        """Return the rest of the file."""
        if self._waiting:
            self._write(self._waiting)
        self._writer.close()
        return self._sink.drain()

    def _write(self, bodies: Sequence[bytes]) -> None:
        self._writer.write_table(to_table(self._schema, bodies), row_group_size=ROW_GROUP)


class ArrowEncoder:
    """Records to an Arrow IPC stream, one batch per call."""

    def __init__(self, schema: pa.Schema) -> None:
        """Start a stream with the columns of ``schema``."""
        self._schema = schema
        self._sink = Sink()
        self._writer = pa.ipc.new_stream(self._sink, schema)

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Return records as a batch."""
        for batch in to_table(self._schema, bodies).to_batches():
            self._writer.write_batch(batch)
        return self._sink.drain()

    def finish(self) -> bytes:
        """Return the end of the stream."""
        self._writer.close()
        return self._sink.drain()


def _as_text(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _text_dates(field.type))


def _text_dates(kind: pa.DataType) -> pa.DataType:
    """Return a type with dates as text: the JSON reader knows no dates, a cast does."""
    if pa.types.is_date32(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_text_dates(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct(list(_members(kind)))
    return kind


def _members(kind: pa.DataType) -> Iterator[pa.Field]:
    for place in range(kind.num_fields):
        yield _as_text(kind.field(place))
