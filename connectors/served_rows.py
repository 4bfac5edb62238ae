"""What the serving store gets of a record: as SQL, as one row, and ready for it in batches."""

from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

import duckdb
import pyarrow as pa

from connectors.changes import BATCH_ROWS, Changes, pieces
from connectors.record_facts import row_facts
from connectors.register.engine import literal
from connectors.schema import fragment_column
from connectors.serving.preparing import Bare, prepare
from connectors.serving.rows import Batch, ServingRow
from ipregister.model import Disclosure, Right
from ipregister.profiles import load_profile


def ready_batches(con: duckdb.DuckDBPyConnection, changes: Changes) -> Iterator[Batch]:
    """Yield the records that readers get, from the view ``plan`` and what was staged.

    In columns from DuckDB to SQLite: a row object for each record cost as much as writing it.
    """
    for batch in _staged_batches(con, changes):
        columns = {
            # Arrow writes a day faster than Python makes one of it.
            name: (c.cast(pa.string()) if pa.types.is_date(c.type) else c).to_pylist()
            for name, c in zip(Bare._fields, batch.columns, strict=False)
        }
        columns["sortKey"] = [sort_key(key) for key in columns["sortKey"]]
        columns["classes"] = [classes or () for classes in columns["classes"]]
        columns["searchText"] = [search_text(words) for words in columns["searchText"]]
        ready = prepare(map(Bare, *columns.values()))
        yield Batch(ready, [c.to_pylist() for c in batch.columns[len(Bare._fields) :]])


def _staged_batches(con: duckdb.DuckDBPyConnection, changes: Changes) -> Iterator[pa.RecordBatch]:
    """Yield the columns of ``Bare``, but with key and words, and the fragments behind them."""
    right, today = changes.right, load_profile(changes.office).day_of(changes.at)
    day = f"DATE {literal(today.isoformat())}"
    fragments = ", ".join(f"r.{fragment_column(name)}" for name in Disclosure)
    served = "NOT held AND op <> 'vanish' AND shown"
    for joined in pieces(con, changes, "recordId, place, part, sequence", served):
        query = con.sql(
            f"""
            SELECT p.recordId, {changes.first_change} + p.place AS changeSeq, r.recordKey,
                   r.applicationNumber, r.applicationDate, r.registrationNumber, r.status,
                   {row_facts(right, day)},
                   {CLASSES[right]} AS classes, {WORDS[right]} AS words, {fragments}
            FROM {joined}
            """
        )
        yield from query.to_arrow_reader(BATCH_ROWS)


def sort_key(key: str) -> str:
    """Return what records are ordered by, from a key: the normalised application number."""
    return key.split("/", 2)[2]


def search_text(words: Sequence[str | None] | None) -> str:
    """Return the words a record is found by, one a line."""
    return "\n".join([word for word in words or () if word])


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
        sortKey=sort_key(key),
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
        searchText=search_text(words),
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
