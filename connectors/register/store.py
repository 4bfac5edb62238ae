"""The register's tables: one append-only log and one compacted base per right.

The log is history and is never rewritten; the base holds what every record is now, so that
readers need only the log's newest part. Both are Delta tables partitioned by office, open to
any engine that reads Delta. How a delivery differs from the register is ``difference``.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, Transaction, write_deltalake

from connectors.faults import reach
from connectors.register import engine
from connectors.register.engine import literal, number, parquet
from connectors.register.ordering import ever_there, ranked
from connectors.register.tables import (
    FOLDED_THROUGH,
    RETENTION_HOURS,
    WRITER,
    Part,
    files_of,
    nothing,
    open_table,
    schema_of,
)
from connectors.schema import log_schema
from ipregister.model import Right

FOLD_SHARE = 0.05
"""Fold when the log beyond the base exceeds this share of the base's rows."""

BATCH_ROWS = 2_000

_NONE = frozenset[str]()


class RegisterStore:
    """The register in one directory; every right has ``<right>/log`` and ``<right>/base``."""

    def __init__(self, root: Path, *, memory_limit: str = engine.MEMORY_LIMIT) -> None:
        """Use ``root``; tables are made when first written."""
        self.root, self.memory_limit = root, memory_limit
        self._local = threading.local()

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Let the pieces of work of this thread share the files' footers until the end.

        No file may be written twice under one name meanwhile: DuckDB takes two of one size and
        one second for the same, and reads the second by the footer of the first.
        """
        before = getattr(self._local, "shared", None)
        self._local.shared = shared = self._fresh()
        try:
            yield
        finally:
            self._local.shared = before
            shared.close()

    @contextmanager
    def connect(self, *, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a DuckDB connection for one piece of work.

        Pieces of work do not see each other's temporary tables and views. ``alone`` is for one
        that changes settings: those are shared, where footers are.
        """
        shared = None if alone else getattr(self._local, "shared", None)
        con = self._fresh() if shared is None else shared.cursor()
        try:
            yield con
        finally:
            con.close()

    def _fresh(self) -> duckdb.DuckDBPyConnection:
        return engine.connect(temporary=self.root / ".spill", memory_limit=self.memory_limit)

    def append(self, right: Right, rows: pa.RecordBatchReader, delivery_id: str) -> None:
        """Append one delivery's changes in one commit; a delivery already there changes nothing.

        Args:
            right: which log.
            rows: as ``connectors.schema.log_schema``.
            delivery_id: names the commit's transaction.
        """
        log = open_table(self.root, right, Part.LOG)
        if log.transaction_version(delivery_id) is not None:
            return
        reach("log.opened")
        write_deltalake(
            log,
            rows,
            mode="append",
            schema_mode="merge",
            writer_properties=WRITER,
            commit_properties=CommitProperties(
                app_transactions=[Transaction(delivery_id, 1)],
                custom_metadata={"deliveryId": delivery_id},
            ),
        )
        reach("log.committed")

    def manifest(self, right: Right, office: str, delivery_id: str) -> Path:
        """Return where the manifest of a delivery stays (``connectors.register.manifests``)."""
        return self.root / right / "manifests" / office / f"{delivery_id}.parquet"

    def define_history(
        self, con: duckdb.DuckDBPyConnection, right: Right, office: str, name: str
    ) -> int:
        """Define the view ``name``: base rows and newer log rows of one office.

        It has the columns of ``connectors.schema.log_schema``; of each record it holds at
        least the newest row by the office's order, and the newest that was not held.

        Returns:
            The ``changeSeq`` up to which the base has everything. Rows up to it are the only
            ones of their record, unless it is held or has a newer row.
        """
        folded = self._folded_through(con, right, office)
        log = f"({self._select(right, Part.LOG, office)})"
        con.execute(
            f"""
            CREATE OR REPLACE TEMP VIEW {name} AS
            SELECT * EXCLUDE ({FOLDED_THROUGH}) FROM ({self._select(right, Part.BASE, office)})
            UNION ALL BY NAME
            SELECT * FROM {log if folded else ever_there(log)} WHERE changeSeq > {folded}
            """
        )
        return folded

    def define_log(
        self,
        con: duckdb.DuckDBPyConnection,
        right: Right,
        office: str,
        name: str,
        *,
        but_reverted: Collection[str] | None = None,
    ) -> None:
        """Define the view ``name``: every row the log got from one office and that counts.

        Rows of reverted deliveries do not; which those are says ``reverted``, or
        ``but_reverted`` where a caller must see more.
        """
        rows = self._select(right, Part.LOG, office, but_reverted)
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {rows}")

    def log_files(self, right: Right, office: str) -> list[str]:
        """Return the files of the log that one office's rows are in."""
        return self._files(right, Part.LOG, office)

    def reverted(self, right: Right, office: str) -> frozenset[str]:
        """Return the deliveries of one office and right that were reverted."""
        directory = self._reverted(right, office)
        return frozenset(path.name for path in directory.iterdir()) if directory.is_dir() else _NONE

    def mark_reverted(self, right: Right, office: str, delivery_id: str) -> None:
        """Let a delivery count as if it had never come; its rows stay in the log."""
        directory = self._reverted(right, office)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / delivery_id).touch()

    def _reverted(self, right: Right, office: str) -> Path:
        return self.root / right / "reverted" / office

    def define_visible(self, con: duckdb.DuckDBPyConnection, right: Right, name: str) -> None:
        """Define the view ``name``: what the register publishes now, all offices of one right."""
        views = []
        for office in self.offices(right) or [""]:
            view = f"history_{right}_{office}"
            self.define_history(con, right, office, view)
            views.append(
                f"""
                SELECT * EXCLUDE (rank) FROM ({ranked(view)}) WHERE NOT held
                QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY rank DESC) = 1
                """
            )
        # By name: an office's columns stand in another order once its log is folded.
        every = " UNION ALL BY NAME ".join(f"({view})" for view in views)
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM ({every}) WHERE op <> 'vanish'"
        )

    def offices(self, right: Right) -> list[str]:
        """Return the offices that have rows in the log of one right."""
        partitions = open_table(self.root, right, Part.LOG).partitions()
        return sorted({str(partition["office"]) for partition in partitions})

    def needs_fold(self, right: Right, office: str) -> bool:
        """Tell whether the log beyond the base has outgrown its share of one office's rows."""
        with self.connect() as con:
            folded = self._folded_through(con, right, office)
            log = self._select(right, Part.LOG, office)
            newer = number(con, f"SELECT count(*) FROM ({log}) WHERE changeSeq > {folded}")
            base = number(con, f"SELECT count(*) FROM ({self._select(right, Part.BASE, office)})")
        return newer > FOLD_SHARE * base

    def fold(self, right: Right, office: str, *, afresh: bool = False) -> int:
        """Write what every record of one office is now into the base; the log stays as it is.

        Of each record the base gets its newest row by the office's order and, when that one
        is held, the newest that was not. Readers see the old or the new base, both say the same.
        ``afresh`` begins at the log's first row: what the base holds may no longer count.
        Returns how many rows of the office the base has.
        """
        with self.connect() as con:
            reach("fold.begun")
            if afresh:
                self.define_log(con, right, office, "history")
                before = 0
            else:
                before = self.define_history(con, right, office, "history")
            # The base has no more than the last row of a record that is gone.
            rows = ever_there("history") if afresh else "history"
            newest = number(con, "SELECT coalesce(max(changeSeq), 0) FROM history")
            through = max(before, newest)  # the row of the newest change need not be kept
            con.execute(
                f"""
                CREATE TEMP TABLE kept AS
                SELECT changeSeq
                FROM (SELECT recordId, changeSeq, held, rank FROM ({ranked(rows)}))
                QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY rank DESC) = 1
                     OR (NOT held AND row_number() OVER (
                            PARTITION BY recordId, held ORDER BY rank DESC) = 1)
                """
            )
            rows_kept = number(con, "SELECT count(*) FROM kept")
            columns = ", ".join(f'"{field.name}"' for field in log_schema(right))
            folded = con.sql(
                f"""
                SELECT {columns}, {through}::BIGINT AS {FOLDED_THROUGH}
                FROM history SEMI JOIN kept USING (changeSeq)
                """
            ).to_arrow_reader(BATCH_ROWS)
            write_deltalake(
                open_table(self.root, right, Part.BASE),
                _cast(folded, schema_of(right, Part.BASE)),
                mode="overwrite",
                schema_mode="merge",
                predicate=f"office = {literal(office)}",
                writer_properties=WRITER,
            )
        reach("fold.committed")
        return rows_kept

    def vacuum(self, right: Right) -> int:
        """Compact the log's small files, remove files no reader can use; return how many went."""
        log, base = open_table(self.root, right, Part.LOG), open_table(self.root, right, Part.BASE)
        reach("compact.begun")
        log.optimize.compact(writer_properties=WRITER)
        reach("compact.committed")
        removed = 0
        for table in (log, base):
            # Full: also the files of commits that a killed process never made.
            removed += len(table.vacuum(retention_hours=RETENTION_HOURS, dry_run=False, full=True))
            reach("vacuum.table")
        return removed

    def _files(self, right: Right, part: Part, office: str) -> list[str]:
        return files_of(open_table(self.root, right, part), office)

    def _select(
        self, right: Right, part: Part, office: str, but: Collection[str] | None = None
    ) -> str:
        files = [*self._files(right, part, office), nothing(self.root, right, part, office)]
        source = parquet(files, "hive_partitioning = TRUE", "union_by_name = TRUE")
        left_out = ", ".join(map(literal, self.reverted(right, office) if but is None else but))
        if part is Part.BASE or not left_out:
            return f"SELECT * FROM {source}"
        return f"""
            SELECT * FROM {source}
            WHERE deliveryId NOT IN ({left_out}) AND coalesce(amendedBy, '') NOT IN ({left_out})
        """

    def _folded_through(self, con: duckdb.DuckDBPyConnection, right: Right, office: str) -> int:
        # A fold writes all of an office's rows anew: the first says what a million say.
        base = self._select(right, Part.BASE, office)
        return number(con, f"SELECT coalesce((SELECT {FOLDED_THROUGH} FROM ({base}) LIMIT 1), 0)")


def _cast(rows: pa.RecordBatchReader, schema: pa.Schema) -> pa.RecordBatchReader:
    def cast() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield batch.cast(schema)
            reach("fold.batch")

    return pa.RecordBatchReader.from_batches(schema, cast())
