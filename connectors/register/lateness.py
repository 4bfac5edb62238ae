"""What a late delivery makes of the newer ones that took effect before it came.

Nothing is undone: of every record the late delivery changes, the newer deliveries' statements
(their manifests) are gone through again, once with it and once without. Where a newer delivery
found a record unchanged and now changes it, the log gets that row; by how much its receipt
differs becomes an amendment. A delivery that is the newest has no such effects.
"""

import duckdb

from connectors.register.engine import literal
from connectors.register.incoming import Arriving
from connectors.register.manifests import define_mentions
from connectors.schema import SOURCE_SQL
from ipregister.deliveries import Kind
from ipregister.model import Disclosure

Counts = dict[str, int]
"""By how much some counts of a receipt change."""

_CORRECTION = (
    "recordId VARCHAR, recordKey VARCHAR, op VARCHAR, held BOOLEAN, shown BOOLEAN, "
    "wasVisible BOOLEAN, changedClasses VARCHAR[], deliveryId VARCHAR, officeOrder VARCHAR, "
    f"contentHash VARCHAR, copied BOOLEAN, source {SOURCE_SQL}"
)

_COUNTED = {
    "inserted": "op = 'insert' AND NOT held",
    "updated": "op = 'update' AND NOT held",
    "restored": "op = 'restore' AND NOT held",
    "vanished": "op = 'vanish'",
    "accepted": "NOT held AND (op IN ('insert', 'update', 'restore') "
    "OR (op = 'vanish' AND mentioned))",
    "unchanged": "mentioned AND NOT held AND op IN ('unchanged', 'unknown')",
}
"""Counts of a receipt that depend on what was before; what is held stays so counted."""


def define_effects(
    con: duckdb.DuckDBPyConnection, arriving: Arriving, *, removing: bool = False
) -> None:
    """Make what a delivery's lateness brings about; all is empty when nothing is newer.

    ``overtaken``: records a newer delivery speaks of, so that readers see nothing of this one.
    ``corrections``: rows for the log, as ``difference`` plans them. ``amended``: ``place`` of
    a newer delivery and by how much its counts change. ``removing`` asks for the opposite:
    what it means for the newer ones that this delivery is taken out.
    """
    con.execute("CREATE TEMP TABLE overtaken (recordId VARCHAR)")
    con.execute(f"CREATE TEMP TABLE corrections ({_CORRECTION})")
    con.execute(
        "CREATE TEMP TABLE amended (place BIGINT, "
        + ", ".join(f"{name} BIGINT" for name in _COUNTED)
        + ")"
    )
    if not arriving.newer:
        return
    _define_events(con, arriving)
    _define_timeline(con, "without_it", "place <> 0")
    _define_timeline(con, "with_it", "TRUE")
    con.execute(
        "INSERT INTO overtaken SELECT DISTINCT recordId FROM events WHERE place > 0 AND NOT held"
    )
    after, before = ("without_it", "with_it") if removing else ("with_it", "without_it")
    _find_corrections(con, arriving, after, before)
    _find_amendments(con, after, before)


def _define_events(con: duckdb.DuckDBPyConnection, arriving: Arriving) -> None:
    """Make ``events``: of every record this delivery changes, what was and will be said.

    Places: -2 what was visible before, -1 what was there before, 0 this delivery, then the
    newer ones. ``gone`` says that the record is not there, ``mentioned`` that a delivery says
    so by name.
    """
    con.execute(
        """
        CREATE TEMP TABLE touched AS
        SELECT recordId, recordKey, contentHash, held, op = 'vanish' AS gone, TRUE AS mentioned
        FROM compared
        WHERE op IN ('insert', 'update', 'restore', 'vanish')
        UNION ALL
        SELECT recordId, recordKey, '', FALSE, TRUE, FALSE FROM vanishing
        """
    )
    define_mentions(con, "mentions", arriving.newer)
    con.execute(
        """
        CREATE TEMP TABLE said AS
        SELECT m.place, m.recordId, m.contentHash, m.held, m.removed, m.source
        FROM mentions m SEMI JOIN touched USING (recordId)
        """
    )
    fulls = [
        place
        for place, each in enumerate(arriving.newer, start=1)
        if each.kind is Kind.FULL_EXTRACTION
    ]
    con.execute(
        """
        CREATE TEMP TABLE events AS
        SELECT recordId, place, contentHash, held, removed AS gone, TRUE AS mentioned, source
        FROM said
        WHERE NOT (removed AND held)
        UNION ALL BY NAME
        SELECT recordId, place, '' AS contentHash, FALSE AS held, TRUE AS gone, FALSE AS mentioned
        FROM (SELECT recordId, unnest(?::BIGINT[]) AS place FROM touched)
        ANTI JOIN said USING (recordId, place)
        UNION ALL BY NAME
        SELECT recordId, 0 AS place, contentHash, held, gone, mentioned FROM touched
        UNION ALL BY NAME
        SELECT recordId, -2 AS place, coalesce(visibleContent, '') AS contentHash,
               coalesce(visibleOp = 'vanish', TRUE) AS held, FALSE AS gone, TRUE AS mentioned
        FROM state SEMI JOIN touched USING (recordId)
        UNION ALL BY NAME
        SELECT recordId, -1 AS place, coalesce(contentHash, '') AS contentHash, held,
               op = 'vanish' AS gone, TRUE AS mentioned
        FROM state SEMI JOIN touched USING (recordId)
        """,
        [fulls],
    )


def _define_timeline(con: duckdb.DuckDBPyConnection, name: str, condition: str) -> None:
    """Make what each newer delivery does to each record, given what was said before it.

    ``seen`` is the content that was visible before, empty when there was none.
    """
    con.execute(
        f"""
        CREATE TEMP TABLE {name} AS
        SELECT recordId, place, contentHash, held, mentioned, source, seen,
               CASE WHEN gone AND wasThere THEN 'vanish'
                    WHEN gone THEN 'unknown'
                    WHEN existed IS NULL THEN 'insert'
                    WHEN NOT wasThere THEN 'restore'
                    WHEN contentHash <> hadContent OR held <> wasHeld THEN 'update'
                    ELSE 'unchanged' END AS op
        FROM (
            SELECT *,
                   coalesce(lag(NOT gone) OVER told, FALSE) AS wasThere,
                   lag(contentHash) OVER told AS hadContent,
                   lag(held) OVER told AS wasHeld,
                   max(CASE WHEN NOT gone THEN TRUE END) OVER before AS existed,
                   coalesce(last_value(
                       CASE WHEN gone THEN '' WHEN NOT held THEN contentHash END IGNORE NULLS
                   ) OVER before, '') AS seen
            FROM events
            WHERE {condition}
            WINDOW told AS (PARTITION BY recordId ORDER BY place),
                   before AS (PARTITION BY recordId ORDER BY place
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        )
        WHERE place > 0
        """
    )


def _find_corrections(
    con: duckdb.DuckDBPyConnection, arriving: Arriving, after: str, before: str
) -> None:
    """Fill ``corrections``: changes of newer deliveries of which the log has no row.

    What they change to was unchanged before, so the log has its content already; or its row
    is one that this delivery had brought about, and counts no more with it.
    """
    con.execute(
        """
        CREATE TEMP TABLE newer AS
        SELECT unnest(?::VARCHAR[]) AS deliveryId, unnest(?::VARCHAR[]) AS officeOrder,
               unnest(range(1, ? + 1)) AS place
        """,
        [
            [each.delivery_id for each in arriving.newer],
            [each.order for each in arriving.newer],
            len(arriving.newer),
        ],
    )
    con.execute(
        """
        CREATE TEMP TABLE contents AS
        SELECT recordId, contentHash, any_value(classHashes) AS classHashes
        FROM (
            SELECT recordId, contentHash, classHashes FROM log WHERE contentHash IS NOT NULL
            UNION ALL
            SELECT recordId, contentHash, classHashes FROM incoming WHERE NOT removed
        ) SEMI JOIN touched USING (recordId)
        GROUP BY recordId, contentHash
        """
    )
    differs = "coalesce(c.classHashes.{name}, '') <> coalesce(s.classHashes.{name}, '')"
    changed = ", ".join(
        f"CASE WHEN {differs.format(name=name)} THEN '{name}' END" for name in Disclosure
    )
    con.execute(
        f"""
        INSERT INTO corrections BY NAME
        SELECT w.recordId, t.recordKey, w.op, w.held, FALSE AS shown, w.seen <> '' AS wasVisible,
               list_filter([{changed}], lambda c: c IS NOT NULL) AS changedClasses,
               n.deliveryId, n.officeOrder, w.contentHash, w.op <> 'vanish' AS copied, w.source
        FROM {after} w
        JOIN {before} o USING (recordId, place)
        JOIN newer n USING (place)
        JOIN touched t USING (recordId)
        LEFT JOIN (
            SELECT DISTINCT recordId, deliveryId FROM log SEMI JOIN touched USING (recordId)
            WHERE coalesce(amendedBy, '') <> {literal(arriving.delivery_id)}
        ) l ON l.recordId = w.recordId AND l.deliveryId = n.deliveryId
        LEFT JOIN contents c ON c.recordId = w.recordId AND c.contentHash = w.contentHash
        LEFT JOIN contents s ON s.recordId = w.recordId AND s.contentHash = w.seen
        WHERE w.op NOT IN ('unchanged', 'unknown')
          AND (o.op IN ('unchanged', 'unknown') OR l.deliveryId IS NULL)
        """
    )


def _find_amendments(con: duckdb.DuckDBPyConnection, after: str, before: str) -> None:
    counts = ", ".join(
        f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in _COUNTED.items()
    )
    differences = ", ".join(f"w.{name} - o.{name} AS {name}" for name in _COUNTED)
    con.execute(
        f"""
        INSERT INTO amended BY NAME
        SELECT place, {differences}
        FROM (SELECT place, {counts} FROM {after} GROUP BY place) w
        JOIN (SELECT place, {counts} FROM {before} GROUP BY place) o USING (place)
        """
    )


def measured_amendments(con: duckdb.DuckDBPyConnection, arriving: Arriving) -> dict[str, Counts]:
    """Return by how much receipts of newer deliveries change, those that do."""
    rows = con.execute(
        f"SELECT place, {', '.join(_COUNTED)} FROM amended ORDER BY place"
    ).fetchall()
    return {
        arriving.newer[place - 1].delivery_id: {
            name: count for name, count in zip(_COUNTED, counts, strict=True) if count
        }
        for place, *counts in rows
        if any(counts)
    }
