"""Writes one part of a staged delivery: canonical rows, removals, findings met while mapping.

Rows are ``connectors.schema.staged_schema``, removals ``REMOVALS``, findings ``FINDINGS``; all
are written in batches so that memory is bounded by a batch, not by the delivery.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.faults import reach
from connectors.findings import FindingBook
from connectors.rendering import class_hashes, content_hash, render_fragments
from connectors.schema import FINDINGS, REMOVALS, fragment_column, staged_schema
from ipregister.identifiers import record_id
from ipregister.mapping import Mapped, RecordMapping
from ipregister.model import Disclosure, Right
from ipregister.quality import Severity

BATCH_ROWS = 500
"""Rows made into Arrow at a time: few enough to be in the processor's cache still."""

GROUP_BATCHES = 8
"""Batches per row group: each costs a footer of a hundred columns, read by every later scan."""

_FRAGMENT_COLUMNS = {name: fragment_column(name) for name in Disclosure}

_json = msgspec.json.Encoder(order="deterministic").encode


@contextmanager
def cycle_collector_paused() -> Iterator[None]:
    """Pause Python's search for reference cycles while millions of plain rows are made.

    Rows hold no cycles and are freed as they are dropped; looking through them again and
    again cost a third of the reading time (measured: 126 instead of 92 µs per record).
    """
    was_running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_running:
            gc.enable()


class RowFile:
    """A Parquet file written batch by batch; there is none when no row came.

    A ``sparse`` one has only those columns of the schema that its rows have: most of 400 are of
    none, and writing and reading them took 6 % of a delivery. Rows that bring another column go on
    in a file beside it.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, sparse: bool = False) -> None:
        """Write to ``path`` when the first batch is full or the file is closed."""
        self.path, self.schema, self.sparse = path, schema, sparse
        self.rows = 0
        self._buffer: list[dict[str, Any]] = []
        self._batches: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self._files: list[Path] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append one row."""
        self.rows += 1
        self._buffer.append(row)
        if len(self._buffer) >= BATCH_ROWS:
            self._gather()
            if len(self._batches) >= GROUP_BATCHES:
                self._flush()

    def close(self) -> None:
        """Write what is left and finish the file."""
        if self._buffer:
            self._gather()
        if self._batches:
            self._flush()
        self._finish()

    def discard(self) -> None:
        """Forget every row so far, also those that are written."""
        self.rows, self._buffer, self._batches = 0, [], []
        self._finish()
        while self._files:
            self._files.pop().unlink()

    def _gather(self) -> None:
        """Make the buffered rows one batch, of the columns they have.

        Row by row rather than column by column: a row is in the processor's cache once (25
        instead of 48 µs per record).
        """
        present = set[str]().union(*self._buffer)
        fields = [each for each in self.schema if each.name in present]
        batch = pa.RecordBatch.from_struct_array(pa.array(self._buffer, pa.struct(fields)))
        self._batches.append(pa.Table.from_batches([batch]))
        self._buffer = []

    def _flush(self) -> None:
        present = {name for batch in self._batches for name in batch.schema.names}
        if self._writer is not None and not present.issubset(self._writer.schema.names):
            self._finish()
        if self._writer is None:
            self._open([each for each in self.schema if not self.sparse or each.name in present])
        assert self._writer is not None  # noqa: S101 - just opened
        empty = self._writer.schema.empty_table()
        self._writer.write_table(
            pa.concat_tables([empty, *self._batches], promote_options="default")
        )
        self._batches = []

    def _open(self, fields: list[pa.Field]) -> None:
        next_one = f"{self.path.stem}_{len(self._files)}{self.path.suffix}"
        self._files.append(self.path.with_name(next_one) if self._files else self.path)
        # Read whole and once: dictionaries and statistics would be made for nobody.
        self._writer = pq.ParquetWriter(
            self._files[-1],
            pa.schema(fields),
            compression="lz4",
            use_dictionary=False,
            write_statistics=False,
        )

    def _finish(self) -> None:
        if self._writer is not None:
            reach("parquet.unfinished")
            self._writer.close()
            self._writer = None
            reach("parquet.closed")


class PartWriter:
    """What one part holds, as ``rows-``, ``removals-`` and ``findings-00001.parquet``."""

    def __init__(self, directory: Path, right: Right, number: int, book: FindingBook) -> None:
        """Write into ``directory``; ``number`` orders parts as the delivery orders its files."""
        self.number = number
        self.rows = RowFile(
            directory / f"rows-{number:05}.parquet", staged_schema(right), sparse=True
        )
        self.removals = RowFile(directory / f"removals-{number:05}.parquet", REMOVALS)
        self.findings = RowFile(directory / f"findings-{number:05}.parquet", FINDINGS)
        self.book = book

    def note(self, code: str, *, file: str, **where: Any) -> None:
        """Write a finding that belongs to a file rather than to a record."""
        if finding := self.book.finding(code, file=file, **where):
            self.findings.add(finding)

    def record(
        self, mapping: RecordMapping, mapped: Mapped, source: dict[str, Any], file: str
    ) -> None:
        """Write one mapped record that has a key, and its issues."""
        assert mapped.key is not None  # noqa: S101 the caller rejects records without one
        row = mapped.row
        row["recordId"] = record_id(mapped.key)
        row["recordKey"] = mapped.key
        row["critical"] = self._note_issues(mapping, mapped, file)
        row["source"] = source
        row["sourceFile"] = file
        row["sourceLine"] = source["line"]
        row["part"] = self.number
        row["sequence"] = self.rows.rows + self.removals.rows
        if mapped.is_removal:
            self.removals.add({name: row.get(name) for name in REMOVALS.names})
            return
        fragments = render_fragments(mapping.table, row)
        for name, fragment in fragments.items():
            row[_FRAGMENT_COLUMNS[name]] = fragment
        row["classHashes"] = hashes = class_hashes(fragments)
        row["contentHash"] = content_hash(hashes)
        row["positions"] = _json(mapped.lines).decode()
        row["derived"] = mapped.derived
        self.rows.add(row)

    def _note_issues(self, mapping: RecordMapping, mapped: Mapped, file: str) -> bool:
        """Write the issues of a record as findings; tell whether one is critical."""
        critical = False
        for issue in mapped.issues:
            finding = self.book.finding(
                issue.code,
                file=file,
                line=issue.line,
                recordId=mapped.row["recordId"],
                applicationNumber=mapped.row.get("applicationNumber"),
                field=issue.field,
                elementPath=issue.source or mapping.element_in(mapped.lines, issue.field),
                value=issue.value,
                suggestedValue=issue.suggested,
            )
            if finding:
                self.findings.add(finding)
                critical |= finding["severity"] == Severity.CRITICAL
        return critical

    def discard(self) -> None:
        """Forget everything: it came from bytes that are not those the office packed."""
        for file in (self.rows, self.removals, self.findings):
            file.discard()

    def close(self) -> None:
        """Finish the files."""
        self.rows.close()
        self.removals.close()
        self.findings.close()

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
