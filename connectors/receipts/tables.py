"""Receipts as tables: one row per answer, and one per record it named."""

from collections.abc import Iterable

import pyarrow as pa

from connectors.receipts.journal import Receipt

REQUESTS = pa.schema(
    [
        ("source", pa.string()),
        ("request", pa.int64()),
        ("at", pa.int64()),
        ("requestId", pa.string()),
        ("clientId", pa.string()),
        ("thirdParty", pa.string()),
        ("office", pa.string()),
        ("ipRight", pa.string()),
        ("route", pa.string()),
        ("version", pa.int32()),
        ("classes", pa.int32()),
        ("records", pa.int32()),
        ("retracted", pa.int32()),
        ("snapshot", pa.string()),
        ("cameWith", pa.binary()),
        ("leftWith", pa.binary()),
    ]
)
"""One answer a row; ``source`` and ``request`` identify it, ``at`` is in microseconds since 1970,
``records`` and ``retracted`` are counts."""

NAMED = pa.schema(
    [
        ("source", pa.string()),
        ("request", pa.int64()),
        ("recordId", pa.string()),
        ("isRetracted", pa.bool_()),
    ]
)
"""One record that an answer named a row."""


def tables_of(source: str, receipts: Iterable[Receipt]) -> tuple[pa.Table, pa.Table]:
    """Return receipts as ``REQUESTS`` and ``NAMED``, numbered in their order."""
    requests: list[tuple[object, ...]] = []
    named: list[tuple[object, ...]] = []
    for number, one in enumerate(receipts):
        requests.append(
            (
                *(source, number, one.at, one.requestId, one.clientId, one.thirdParty),
                *(one.office, one.right, one.route, one.version, one.classes),
                *(len(one.records), len(one.retracted), one.snapshot),
                *(one.came_with, one.left_with),
            )
        )
        named += [(source, number, name, False) for name in one.records]
        named += [(source, number, name, True) for name in one.retracted]
    return _table(requests, REQUESTS), _table(named, NAMED)


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
