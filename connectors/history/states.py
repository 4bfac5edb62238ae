"""The register as it stood at a point, and what is different between two points.

What counts is what third parties could be shown: of every record the newest version, by the
office's order, that was not held.
"""

from pathlib import Path
from typing import Any

import duckdb
import msgspec

from connectors.history.points import Point, define_known
from connectors.hub import Hub
from connectors.register.difference import classes_where
from connectors.register.engine import literal
from connectors.register.ordering import ranked
from connectors.rendering import render_fragments
from connectors.schema import canonical_fields
from ipregister.errors import StoreError
from ipregister.model import Right, load_tables

NARROW = "recordId, applicationNumber, op, held, deliveryId, contentHash, classHashes, changeSeq"


def record_as_of(
    hub: Hub, office: str, right: Right, record_id: str, point: Point
) -> dict[str, Any] | None:
    """Return one record as it stood at a point: its delivery and its content, or ``None``."""
    columns = ", ".join(f'r."{field.name}"' for field in canonical_fields(right))
    with hub.register.connect() as con:
        define_known(con, hub, office, right, point, "known")
        of_it = f"(SELECT {NARROW}, officeOrder FROM known WHERE recordId = {literal(record_id)})"
        query = con.sql(
            f"""
            SELECT r.deliveryId, r.officeOrder, {columns}
            FROM known r SEMI JOIN ({_newest(of_it)}) USING (changeSeq)
            """
        )
        rows = query.to_arrow_table().to_pylist()
    if not rows:
        return None
    (row,) = rows
    content = b"".join(render_fragments(load_tables()[right], row).values()) + b"}"
    return {
        "at": point.at,
        "recordId": record_id,
        "deliveryId": row["deliveryId"],
        "officeOrder": row["officeOrder"],
        "record": msgspec.Raw(content),
    }


def register_as_of(
    hub: Hub, office: str, right: Right, point: Point, *, limit: int, output: Path | None = None
) -> dict[str, Any]:
    """Return how many records there were at a point, and the first of them by identifier.

    Args:
        hub: the stores.
        office: whose register.
        right: of which right.
        point: when.
        limit: records listed at most.
        output: a Parquet file to write all of them into, with all their fields.

    Raises:
        StoreError: that file cannot be written.
    """
    with hub.register.connect() as con:
        _define_state(con, hub, office, right, point, "state")
        total = con.execute("SELECT count(*) FROM state").fetchall()[0][0]
        items = _documents(
            con, f"SELECT recordId, applicationNumber, deliveryId FROM state "
            f"ORDER BY recordId LIMIT {limit}",
        )  # fmt: skip
        if output is not None:
            columns = ", ".join(f'"{field.name}"' for field in canonical_fields(right))
            try:
                con.execute(
                    f"COPY (SELECT deliveryId, {columns} FROM state_known SEMI JOIN state "
                    f"USING (changeSeq)) TO {literal(output)} (FORMAT parquet, COMPRESSION zstd)"
                )
            except duckdb.IOException as exc:
                raise StoreError(f"{output} cannot be written: {exc}.") from exc
    return {"at": point.at, "records": total, "items": items, "more": total > len(items)}


def changes_between(
    hub: Hub, office: str, right: Right, start: Point, end: Point, *, limit: int, after: str = ""
) -> dict[str, Any]:
    """Return what is different at ``end`` from ``start``: counts, and records by identifier.

    Args:
        hub: the stores.
        office: whose register.
        right: of which right.
        start: one point.
        end: the other.
        limit: records listed at most.
        after: the last record of the page before.
    """
    classes = classes_where("a.classHashes.{name} IS DISTINCT FROM b.classHashes.{name}")
    with hub.register.connect() as con:
        _define_state(con, hub, office, right, start, "was")
        _define_state(con, hub, office, right, end, "now")
        con.execute(
            f"""
            CREATE TEMP TABLE different AS
            SELECT coalesce(b.recordId, a.recordId) AS recordId,
                   coalesce(b.applicationNumber, a.applicationNumber) AS applicationNumber,
                   CASE WHEN a.recordId IS NULL THEN 'appeared'
                        WHEN b.recordId IS NULL THEN 'disappeared' ELSE 'changed' END AS change,
                   {classes} AS changedClasses, b.deliveryId
            FROM was a FULL JOIN now b USING (recordId)
            WHERE a.contentHash IS DISTINCT FROM b.contentHash
            """
        )
        counts = con.execute("SELECT change, count(*) FROM different GROUP BY 1").fetchall()
        items = _documents(
            con,
            f"SELECT * FROM different WHERE recordId > {literal(after)} "
            f"ORDER BY recordId LIMIT {limit + 1}",
        )
    more, items = len(items) > limit, items[:limit]
    return {
        "from": start.at,
        "to": end.at,
        "counts": {"appeared": 0, "changed": 0, "disappeared": 0} | dict(counts),
        "items": items,
        "after": items[-1]["recordId"] if more else None,
    }


def _newest(rows: str) -> str:
    """Return the query of the newest versions that are not held, of records there are."""
    return f"""
        SELECT * FROM ({ranked(rows)})
        WHERE NOT held
        QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY rank DESC) = 1 AND op <> 'vanish'
    """


def _define_state(
    con: duckdb.DuckDBPyConnection, hub: Hub, office: str, right: Right, point: Point, name: str
) -> None:
    """Make the table ``name`` of narrow rows, over the view ``name_known``."""
    define_known(con, hub, office, right, point, f"{name}_known")
    rows = f"(SELECT {NARROW}, officeOrder FROM {name}_known)"
    con.execute(f"CREATE TEMP TABLE {name} AS {_newest(rows)}")


def _documents(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = con.sql(sql).to_arrow_table().to_pylist()
    return found
