"""From a plan to readers: the log gets a delivery's changes, then the serving store.

Both steps are one transaction each and know the delivery's name, so either may be repeated
after a crash without a second effect. Whether a delivery may be published was decided before.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa

from connectors.faults import reach
from connectors.record_facts import row_facts
from connectors.register.engine import literal, parquet
from connectors.register.store import RegisterStore
from connectors.schema import canonical_fields, fragment_column, log_schema, staged_schema
from connectors.serving.rows import Cause
from connectors.serving_store import Publication, ServingRow, ServingStore
from connectors.staging.parts import cycle_collector_paused
from ipregister.model import Disclosure, Right

BATCH_ROWS = 4_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What one delivery changes, decided and placed.

    ``plan`` is as ``connectors.register.difference`` wrote it, ``rows`` are the staged rows it
    refers to, ``first_change`` is the ``changeSeq`` of its first change, ``at`` when the
    delivery was received (UTC). ``cause`` is ``processing`` when our own rules or mappings
    changed and not the office's data.
    """

    delivery_id: str
    office: str
    right: Right
    plan: Path
    rows: Sequence[Path]
    first_change: int
    at: datetime
    cause: Cause = "source"


def append_to_register(store: RegisterStore, changes: Changes) -> None:
    """Append a delivery's changes to the register's log, in one commit."""
    with store.connect() as con:
        _define_views(con, changes)
        query = con.sql(" UNION ALL BY NAME ".join(_log_rows(con, store, changes)))
        schema = log_schema(changes.right)
        batches = (
            pa.RecordBatch.from_arrays(
                [batch.column(name).cast(schema.field(name).type) for name in schema.names],
                schema=schema,
            )
            for batch in _passing(query.to_arrow_reader(BATCH_ROWS))
        )
        reader = pa.RecordBatchReader.from_batches(schema, batches)
        store.append(changes.right, reader, changes.delivery_id)


def _passing(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch
        reach("log.batch")


def _log_rows(con: duckdb.DuckDBPyConnection, store: RegisterStore, changes: Changes) -> list[str]:
    """Return the SELECTs of the log's new rows: from what was staged, and from the log itself."""
    staged = _log_rows_from(changes, "staged", "USING (part, sequence)", "NOT copied", "r.source")
    con.execute("CREATE TEMP TABLE copies AS SELECT recordId, contentHash FROM plan WHERE copied")
    if con.execute("SELECT 1 FROM copies LIMIT 1").fetchone() is None:
        return [staged]
    store.define_log(con, changes.right, changes.office, "log")
    con.execute(
        """
        CREATE TEMP TABLE originals AS
        SELECT max(changeSeq) AS changeSeq
        FROM log SEMI JOIN copies USING (recordId, contentHash)
        GROUP BY recordId, contentHash
        """
    )
    known = "(SELECT * FROM log SEMI JOIN originals USING (changeSeq))"
    join = "USING (recordId, contentHash)"
    return [staged, _log_rows_from(changes, known, join, "copied", "p.source")]


def _log_rows_from(changes: Changes, content: str, join: str, condition: str, source: str) -> str:
    columns = ", ".join(
        f'r."{field.name}"' for field in canonical_fields(changes.right) if field.name != "recordId"
    )
    own = literal(changes.delivery_id)
    return f"""
        SELECT {literal(changes.office)} AS office,
               ({changes.first_change} + p.place)::BIGINT AS changeSeq,
               p.op, p.deliveryId, p.officeOrder,
               CASE WHEN p.amends THEN {own} END AS amendedBy,
               TIMESTAMPTZ {literal(changes.at.isoformat())} AS recordedAt,
               {literal(changes.cause)} AS cause,
               p.held, p.recordKey, r.contentHash, r.classHashes, p.changedClasses,
               {source} AS source, r.derived, p.recordId, {columns}
        FROM (SELECT * FROM plan WHERE {condition}) p LEFT JOIN {content} r {join}
    """


def publish_to_serving(
    register: RegisterStore,
    serving: ServingStore,
    changes: Changes,
    logged: Callable[[], object] | None = None,
) -> None:
    """Make a delivery's changes visible to third parties, all at once.

    Args:
        register: where the rows are read through.
        serving: what third parties read.
        changes: the delivery's; in the log already, or as soon as
        logged: returns, which is waited for before anybody sees anything; an exception it
            raises takes everything back.
    """
    with register.connect() as con, cycle_collector_paused():
        _define_views(con, changes)
        vanished = con.execute(
            f"""
            SELECT recordId, {changes.first_change} + place
            FROM plan
            WHERE op = 'vanish' AND wasVisible AND shown
            ORDER BY place
            """
        ).fetchall()
        serving.publish(
            Publication(
                deliveryId=changes.delivery_id,
                office=changes.office,
                right=changes.right,
                at=changes.at,
                upserts=_serving_rows(con, changes),
                vanished=vanished,
                cause=changes.cause,
            ),
            logged,
        )


def _define_views(con: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    con.execute(f"CREATE TEMP VIEW plan AS SELECT * FROM {parquet([changes.plan])}")
    con.register("nothing", staged_schema(changes.right).empty_table())
    source = parquet(changes.rows) if changes.rows else "nothing"
    con.execute(f"CREATE TEMP VIEW staged AS SELECT * FROM {source}")


def _serving_rows(con: duckdb.DuckDBPyConnection, changes: Changes) -> Iterator[ServingRow]:
    right, day = changes.right, f"DATE {literal(changes.at.date().isoformat())}"
    fragments = ", ".join(f"r.{fragment_column(name)}" for name in Disclosure)
    query = con.sql(
        f"""
        SELECT p.recordId, {changes.first_change} + p.place AS changeSeq, r.recordKey,
               r.applicationNumber, r.applicationDate, r.registrationNumber, r.status,
               {row_facts(right, day)},
               {CLASSES[right]} AS classes, {WORDS[right]} AS words, {fragments}
        FROM plan p JOIN staged r USING (part, sequence)
        WHERE NOT p.held AND p.op <> 'vanish' AND p.shown
        """
    )
    for batch in query.to_arrow_reader(BATCH_ROWS):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield serving_row(*row)


def serving_row(
    record_id: str,
    change: int,
    key: str,
    number: str | None,
    filed: date | None,
    registration: str | None,
    status: str | None,
    registered: date | None,
    first_published: date | None,
    published: bool,
    right_kind: str | None,
    kind: str | None,
    route: str | None,
    classes: list[str | None] | None,
    words: list[str | None] | None,
    *fragments: bytes,
) -> ServingRow:
    """Return one record as the serving store takes it; ``fragments`` in the order of classes."""
    return ServingRow(
        recordId=record_id,
        changeSeq=change,
        sortKey=key.split("/", 2)[2],
        fragments=dict(zip(_CLASS_ORDER, fragments, strict=True)),
        applicationNumber=number,
        applicationDate=filed,
        registrationNumber=registration,
        status=status,
        registrationDate=registered,
        publicationDate=first_published,
        published=published,
        rightKind=right_kind,
        kind=kind,
        filingRoute=route,
        classes=tuple([_scheme_and_symbol(entry) for entry in classes or () if entry]),
        searchText="\n".join([word for word in words or () if word]),
    )


@lru_cache(maxsize=65_536)
def _scheme_and_symbol(entry: str) -> tuple[str, str]:
    scheme, _, symbol = entry.partition(":")
    return scheme, symbol


_CLASS_ORDER = tuple(Disclosure)


_SYMBOLS = "list_transform({list}, lambda c: c.scheme || ':' || c.symbol)"
_TEXTS = "list_transform({list}, lambda t: t.text)"

CLASSES = {
    Right.TRADEMARKS: "list_concat("
    "list_transform(r.goodsServices, lambda g: 'nice:' || g.classNumber), "
    + _SYMBOLS.format(list="r.classifications")
    + ")",
    Right.PATENTS: _SYMBOLS.format(list="r.classifications"),
    Right.DESIGNS: "flatten(list_transform(r.designs, lambda d: "
    + _SYMBOLS.format(list="d.classifications")
    + "))",
}
"""Classification symbols of one record as ``scheme:symbol``, for filters."""

WORDS = {
    Right.TRADEMARKS: "list_concat("
    + ", ".join(
        _TEXTS.format(list=f"r.{name}")
        for name in ("markVerbalElements", "significantVerbalElements", "translations")
    )
    + ")",
    Right.PATENTS: _TEXTS.format(list="r.titles"),
    Right.DESIGNS: "flatten(list_transform(r.designs, lambda d: "
    + _TEXTS.format(list="d.titles")
    + "))",
}
"""Words of one record a third party may search: mark words and titles, all of class ``core``."""
