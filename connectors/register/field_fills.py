"""Which fields of changed records hold a value, before and after a delivery.

Only changed records are read: in the others nothing was lost. Looks at fields and, in lists,
at the members of their items. What a drop means is ``ipregister.guards``.
"""

from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa

from connectors.register.field_sql import FieldSql, columns_of, fields_of
from connectors.register.ordering import ranked
from ipregister.deliveries import Kind
from ipregister.guards import EMPTIED
from ipregister.holds import DroppedField
from ipregister.measures import Collapse
from ipregister.model import Right

FIXED = frozenset({"applicationDate"})
"""All an update is judged by for equal values: the records one update changes often share
a status and the date of it, but not the day they were filed."""

SAMPLE = 100
"""Changed records of an update whose earlier versions are looked up."""

Earlier = Callable[[Sequence[int], Sequence[str]], pa.Table]
"""Looks up earlier versions, by ``changeSeq``: of each what tells whether fields have a value.

A field that the register has never had is not among the columns.
"""


def changed_classes(con: duckdb.DuckDBPyConnection, *, at_least: float) -> tuple[str, ...]:
    """Return the classes that changed in more than ``at_least`` records of ``plan``."""
    rows = con.execute(
        """
        SELECT class FROM (
            SELECT unnest(changedClasses) AS class
            FROM plan WHERE op = 'update' AND NOT held AND shown
        )
        GROUP BY class HAVING count(*) > ?
        """,
        [at_least],
    ).fetchall()
    return tuple(sorted(name for (name,) in rows))


def define(
    con: duckdb.DuckDBPyConnection,
    right: Right,
    classes: Sequence[str],
    kind: Kind,
    earlier: Earlier,
) -> int:
    """Make ``before`` and ``after``: of every changed record, which fields have a value.

    Also ``common``: the file's rows of records that the register has. Columns are those of
    ``classes``. Of an update a sample stands for all, and only fields that are all but empty
    in it are looked up, with ``earlier``: reading a million records for five hundred would take
    longer than all else.

    Returns:
        How many records an update's sample has; 0 when there is nothing to compare.
    """
    fields = [field for field in fields_of(right) if field.disclosure in classes]
    if not fields:
        return 0
    # Of these records alone, and first: ranking all of a million took ten times as long.
    con.execute(
        """
        CREATE TEMP TABLE visible AS
        SELECT recordId, changeSeq, officeOrder
        FROM history SEMI JOIN (SELECT recordId FROM plan WHERE op = 'update') USING (recordId)
        WHERE NOT held
        """
    )
    con.execute(
        f"""
        CREATE TEMP TABLE changing AS
        SELECT p.recordId, p.part, p.sequence, h.changeSeq
        FROM plan p JOIN (
            SELECT recordId, arg_max(changeSeq, rank) AS changeSeq
            FROM ({ranked("visible")}) GROUP BY 1
        ) h USING (recordId)
        WHERE p.op = 'update' AND NOT p.held AND p.shown
        """
    )
    places = _sampled(con) if kind is Kind.UPDATE else []
    rows = "staged SEMI JOIN changing USING (part, sequence)"
    con.execute(f"CREATE TEMP TABLE after AS SELECT {columns_of(fields)} FROM {rows}")
    if kind is Kind.UPDATE:
        fields = _all_but_empty(con, fields)
    if not fields:
        return 0
    if places:
        if not _look_up(con, fields, places, earlier):
            return 0
    else:
        con.execute(
            f"""
            CREATE TEMP TABLE before AS
            SELECT {columns_of(fields)} FROM history
            WHERE changeSeq IN (SELECT changeSeq FROM changing)
            """
        )
    con.execute(f"CREATE TEMP VIEW common AS {_SAMPLED if places else _COMMON}")
    return len(places) or 1


_SAMPLED = "SELECT * FROM staged SEMI JOIN changing USING (part, sequence)"
_COMMON = """
    SELECT * FROM (
        SELECT * FROM staged SEMI JOIN (
            SELECT max_by(part, (part, sequence)) AS part,
                   max_by(sequence, (part, sequence)) AS sequence
            FROM (SELECT recordId, part, sequence FROM staged) GROUP BY recordId
        ) USING (part, sequence)
    ) ANTI JOIN (SELECT recordId FROM plan WHERE op IN ('insert', 'restore')) USING (recordId)
"""


def _sampled(con: duckdb.DuckDBPyConnection) -> list[int]:
    """Leave ``SAMPLE`` records in ``changing``; return their places in the register.

    They stand together, in the middle, so that few parts of its files are read.
    """
    con.execute(
        f"""
        DELETE FROM changing WHERE changeSeq NOT IN (
            SELECT changeSeq FROM changing ORDER BY changeSeq
            LIMIT {SAMPLE} OFFSET (SELECT greatest(0, count(*) // 2 - {SAMPLE // 2}) FROM changing)
        )
        """
    )
    rows = con.execute("SELECT changeSeq FROM changing ORDER BY changeSeq").fetchall()
    return [int(row[0]) for row in rows]


def _look_up(
    con: duckdb.DuckDBPyConnection, fields: Sequence[FieldSql], places: list[int], earlier: Earlier
) -> bool:
    """Make ``before`` of a sample, without fields that nothing can be lost of; tell if any is left.

    Members of a list that was empty in all of the sample were empty, too, and most lists are.
    """
    lists = {field.name for field in fields if field.name == field.top}
    first = [field for field in fields if field.name in lists or field.top not in lists]
    found = _found(con, first, places, earlier)
    if not found:
        return False
    counts = ", ".join(f"count(*) FILTER ({field.filled})" for field in found)
    filled = con.execute(f"SELECT {counts} FROM earlier").fetchall()[0]
    had = {field.name for field, count in zip(found, filled, strict=True) if count}
    if rest := [field for field in fields if field not in first and field.top in had]:
        found = _found(con, [*found, *rest], places, earlier)
    con.execute(f"CREATE TEMP TABLE before AS SELECT {columns_of(found)} FROM earlier")
    return True


def _found(
    con: duckdb.DuckDBPyConnection, fields: Sequence[FieldSql], places: list[int], earlier: Earlier
) -> list[FieldSql]:
    """Make ``earlier``, which has these fields; return those that the register knows."""
    rows = earlier(places, [field.name for field in fields])
    con.register("earlier", rows)
    known = set(rows.column_names)
    for column in rows.schema:
        if pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
            known |= {f"{column.name}.{member.name}" for member in column.type.value_type}
    return [field for field in fields if field.name in known]


def _all_but_empty(con: duckdb.DuckDBPyConnection, fields: Sequence[FieldSql]) -> list[FieldSql]:
    """Return the fields of ``after`` that few records fill, and those compared by value."""
    counts = ", ".join(f'count(*) FILTER ("{field.name}")' for field in fields)
    every, *filled = con.execute(f"SELECT count(*), {counts} FROM after").fetchall()[0]
    return [
        field
        for field, count in zip(fields, filled, strict=True)
        if count <= EMPTIED * every or field.name in FIXED
    ]


def dropped(con: duckdb.DuckDBPyConnection, common: int, limit: float) -> tuple[DroppedField, ...]:
    """Return fields that lost more than ``limit`` of their fill over ``common`` records.

    Unchanged records are counted in: their fill is the same before and after.
    """
    names = [name for name in _columns(con) if not name.startswith("=")]
    if not names:
        return ()
    counts = ", ".join(f'count(*) FILTER ("{name}")' for name in names)
    had, has = (
        con.execute(f"SELECT {counts} FROM {table}").fetchall()[0] for table in ("before", "after")
    )
    lost = {
        name: old - new
        for name, old, new in zip(names, had, has, strict=True)
        if old - new > limit * common
    }
    if not lost:
        return ()
    shown = _filled_now(con, list(lost))
    found = [
        DroppedField(name, (shown[name] + count) / common, shown[name] / common)
        for name, count in lost.items()
    ]
    return tuple(sorted(found, key=lambda field: field.after - field.before))


def collapsed(con: duckdb.DuckDBPyConnection, kind: Kind) -> tuple[Collapse, ...]:
    """Return, for each date and the status, the share of its most frequent value."""
    names = [name[1:] for name in _columns(con) if name.startswith("=")]
    if kind is Kind.UPDATE:
        names = [name for name in names if name in FIXED]
    return tuple(one for name in names if (one := _collapse(con, name)) is not None)


def _collapse(con: duckdb.DuckDBPyConnection, name: str) -> Collapse | None:
    """Count a field's values; what did not change counts before as it does after."""
    counts = con.execute(
        f"""
        SELECT value, sum(now) AS now, sum(now - new + old) AS had
        FROM (
            SELECT "{name}"::VARCHAR AS value, 1 AS now, 0 AS new, 0 AS old FROM common
            UNION ALL SELECT "={name}", 0, 1, 0 FROM after
            UNION ALL SELECT "={name}", 0, 0, 1 FROM before
        )
        WHERE value IS NOT NULL
        GROUP BY value
        """
    ).fetchall()
    records, owned = (sum(int(row[column]) for row in counts) for column in (1, 2))
    if not records or not owned:
        return None
    value, most, _ = max(counts, key=lambda row: (row[1], row[0]))
    before = max(int(row[2]) for row in counts)
    return Collapse(name, records, before / owned, int(most) / records, value)


def _columns(con: duckdb.DuckDBPyConnection) -> list[str]:
    return [row[0] for row in con.execute("DESCRIBE before").fetchall()]


def _filled_now(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, int]:
    """Return how many records of the file that the register has, too, fill each field."""
    filled = {field.name: field.filled for right in Right for field in fields_of(right)}
    counts = ", ".join(f"count(*) FILTER ({filled[name]})" for name in names)
    row = con.execute(f"SELECT {counts} FROM common").fetchall()[0]
    return dict(zip(names, row, strict=True))
