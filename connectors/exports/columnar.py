"""Records as columns: from the JSON a client may see to Arrow batches, Parquet, Arrow streams.

The columns are the table's fields of the allowed classes; a column of any other class is
absent. Everything a file says about itself (statistics, dictionaries, row groups) comes from
the rows and columns that are in it, because nothing else is ever read here.

Standards: Apache Parquet, Apache Arrow IPC streaming format.
"""

from collections.abc import Iterable, Sequence

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


class Columns:
    """Turns records into tables of one schema, and remembers which columns had values.

    A column that is in no record costs as much to read as one that is, and most of a right's
    are in none of an office's records. So a piece is read with what was in earlier ones, and
    with everything only when something else turns up in it. The tables are the same either way.
    """

    def __init__(self, schema: pa.Schema) -> None:
        """Read records into the columns of ``schema``; a member it lacks is left out."""
        self._schema = schema
        self._known: dict[str, pa.DataType] = {}

    def read(self, bodies: Sequence[bytes]) -> pa.Table:
        """Return records (JSON objects) as a table; give it thousands at a time."""
        if not bodies:
            return self._schema.empty_table()
        text = b"\n".join(bodies)
        found = self._read_known(text) if self._known else None
        if found is None:
            found = self._read_everything(text)
        columns = [
            found[field.name].cast(field.type)
            if field.name in self._known
            else pa.nulls(len(bodies), field.type)
            for field in self._schema
        ]
        return pa.table(columns, schema=self._schema)

    def _read_known(self, text: bytes) -> pa.Table | None:
        """Return what ``text`` has, or nothing when it has more than was seen before."""
        try:
            return _parse(text, self._known.items(), "error")
        except pa.ArrowInvalid:
            return None

    def _read_everything(self, text: bytes) -> pa.Table:
        kinds = {field.name: _text_dates(field.type) for field in self._schema}
        found = _parse(text, kinds.items(), "ignore")
        for name, kind in kinds.items():
            column = found[name].combine_chunks()
            used = _used(kind, column, self._known.get(name))
            if used is not None:
                self._known[name] = used
        return found


def _parse(text: bytes, kinds: Iterable[tuple[str, pa.DataType]], unexpected: str) -> pa.Table:
    return pj.read_json(
        pa.BufferReader(text),
        # One block: a record may not straddle two, and no batch of ours is large.
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(
            explicit_schema=pa.schema(list(kinds)), unexpected_field_behavior=unexpected
        ),
    )


def _used(kind: pa.DataType, column: pa.Array, before: pa.DataType | None) -> pa.DataType | None:
    """Return as much of a type as a column has values of or had ``before``, if anything."""
    if before is None and column.null_count == len(column):
        return None
    if pa.types.is_list(kind):
        inner = _used(kind.value_type, column.flatten(), before and before.value_type)
        return pa.list_(inner or kind.value_type)
    if pa.types.is_struct(kind):
        members = {field.name: field.type for field in before or ()}
        pairs = [
            (field.name, _used(field.type, column.field(place), members.get(field.name)))
            for place, field in enumerate(kind)
        ]
        return pa.struct([pair for pair in pairs if pair[1] is not None]) or kind
    return kind


class ParquetEncoder:
    """Records to Parquet (zstd), piece by piece; memory of one row group."""

    def __init__(self, schema: pa.Schema) -> None:
        """Start a file with the columns of ``schema``."""
        self._sink = Sink()
        self._columns = Columns(schema)
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
        self._writer.write_table(self._columns.read(bodies), row_group_size=ROW_GROUP)


class ArrowEncoder:
    """Records to an Arrow IPC stream, one batch per call."""

    def __init__(self, schema: pa.Schema) -> None:
        """Start a stream with the columns of ``schema``."""
        self._columns = Columns(schema)
        self._sink = Sink()
        self._writer = pa.ipc.new_stream(self._sink, schema)

    def encode(self, bodies: Sequence[bytes]) -> bytes:
        """Return records as a batch."""
        for batch in self._columns.read(bodies).to_batches():
            self._writer.write_batch(batch)
        return self._sink.drain()

    def finish(self) -> bytes:
        """Return the end of the stream."""
        self._writer.close()
        return self._sink.drain()


def _text_dates(kind: pa.DataType) -> pa.DataType:
    """Return a type with dates as text: the JSON reader knows no dates, a cast does."""
    if pa.types.is_date32(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_text_dates(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _text_dates(field.type)) for field in kind])
    return kind
