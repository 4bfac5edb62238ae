"""What a new reading of an old delivery changes of what the register says now.

A record's current version was said last by one delivery; read again, that delivery may say it
differently, because our mapping or our rules changed. Such a change stands in the log at that
delivery's place in the office's order. The same mapping and rules change nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from connectors.register.difference import EVERY_CLASS, classes_where, define_state
from connectors.register.engine import literal, parquet
from connectors.register.incoming import Arriving, define_incoming
from connectors.register.manifests import Effective, define_mentions, write_manifest
from connectors.register.store import RegisterStore
from ipregister.deliveries import Kind
from ipregister.model import Right

NO_FULL = -1


def find_sources(
    store: RegisterStore,
    office: str,
    right: Right,
    effective: Sequence[Effective],
    target: Path,
) -> list[Effective]:
    """Return the deliveries that said last what the register says now, oldest first.

    Args:
        store: the register.
        office: whose records.
        right: of which right.
        effective: deliveries that took effect, in the office's order.
        target: where is written who said what: ``recordId, said, good, gone``, numbers of
            deliveries from 1; ``good`` is the last one whose version was not held, ``gone`` the
            last one that removed the record.
    """
    if not effective:
        return []
    with store.connect() as con:
        define_mentions(con, "mentions", effective)
        con.execute(
            f"""
            COPY (
                SELECT recordId, max(place) FILTER (WHERE NOT removed) AS said,
                       max(place) FILTER (WHERE NOT removed AND NOT held) AS good,
                       max(place) FILTER (WHERE removed AND NOT held) AS gone
                FROM mentions
                GROUP BY recordId
            ) TO {literal(target)} (FORMAT parquet)
            """
        )
        _define_current(con, store, office, right, target)
        places = con.execute(
            "SELECT DISTINCT unnest([said, CASE WHEN held THEN good END]) AS place "
            "FROM current ORDER BY place"
        ).fetchall()
    return [effective[place - 1] for (place,) in places if place is not None]


def rederive(
    store: RegisterStore,
    again: Arriving,
    effective: Sequence[Effective],
    said: Path,
    plan: Path,
) -> int:
    """Write what a delivery changes that was read again, as a plan; return how many changes.

    Args:
        store: the register.
        again: the delivery as it is read now.
        effective: as for ``find_sources``.
        said: what ``find_sources`` wrote.
        plan: as ``connectors.register.difference`` writes it; a manifest ``again.parquet``
            stands beside it.
    """
    names = [each.delivery_id for each in effective]
    place = names.index(again.delivery_id) + 1
    last_full = max(
        (n for n, each in enumerate(effective, start=1) if each.kind is Kind.FULL_EXTRACTION),
        default=NO_FULL,
    )
    with store.connect() as con:
        define_incoming(con, again)
        _define_current(con, store, again.office, again.right, said)
        write_manifest(con, plan.with_name("again.parquet"), again.processing)
        con.execute(
            f"COPY ({_plan_of(again, place, is_last=place >= last_full)}) "
            f"TO {literal(plan)} (FORMAT parquet)"
        )
        rows = con.execute(f"SELECT count(*) FROM {parquet([plan])}").fetchall()
    return int(rows[0][0])


def write_manifest_of(store: RegisterStore, again: Arriving, target: Path) -> None:
    """Write the manifest of a delivery that was read again, without comparing it."""
    with store.connect() as con:
        define_incoming(con, again)
        write_manifest(con, target, again.processing)


def _define_current(
    con: duckdb.DuckDBPyConnection, store: RegisterStore, office: str, right: Right, said: Path
) -> None:
    """Make ``state``, ``said``, and ``current``: what is there now, which deliveries said so.

    Of a record that nobody could read before ``said`` and ``good`` are not known.
    """
    store.define_history(con, right, office, "history")
    define_state(con, "history")
    con.execute(
        f"""
        CREATE TEMP VIEW said AS SELECT * FROM {parquet([said])};
        CREATE TEMP TABLE current AS
        SELECT s.*, w.said, w.good
        FROM state s LEFT JOIN said w USING (recordId)
        WHERE s.op <> 'vanish'
        """
    )


def _plan_of(again: Arriving, place: int, *, is_last: bool) -> str:
    """Return the SELECT of the changes, columns as a plan has them.

    A record of a new number is new only if no later extraction lets it vanish again. A version
    that could not be read before counts as all do: unless a newer delivery speaks of its record.
    """
    changed = classes_where("i.classHashes.{name} IS DISTINCT FROM c.visibleHashes.{name}")
    was_visible = "coalesce(c.visibleOp <> 'vanish', FALSE)"
    return f"""
        SELECT *, {literal(again.delivery_id)} AS deliveryId,
               {literal(again.order)} AS officeOrder, FALSE AS amends, FALSE AS copied,
               row_number() OVER (ORDER BY part NULLS LAST, sequence, recordId) - 1 AS place
        FROM (
            SELECT c.recordId, c.recordKey, i.part, i.sequence,
                   CASE WHEN i.recordId IS NULL THEN 'vanish' ELSE 'update' END AS op,
                   coalesce(i.isHeld, FALSE) AS held, coalesce(NOT i.isHeld, TRUE) AS shown,
                   {was_visible} AS wasVisible, {changed} AS changedClasses, i.contentHash
            FROM current c LEFT JOIN (SELECT * FROM incoming WHERE NOT removed) i USING (recordId)
            WHERE (c.said = {place} AND i.recordId IS NULL)
               OR (coalesce(c.said, 0) < {place} AND i.recordId IS NULL AND c.recordId IN (
                    SELECT recordId FROM incoming WHERE removed AND NOT isHeld))
               OR (coalesce(c.said, 0) <= {place}
                    AND (i.contentHash <> c.contentHash OR i.isHeld <> c.held))
               OR (c.said <> {place} AND c.held AND c.good = {place} AND {was_visible}
                    AND NOT i.isHeld AND i.contentHash <> c.visibleContent)
            UNION ALL BY NAME
            SELECT i.recordId, i.recordKey, i.part, i.sequence, 'insert' AS op,
                   i.isHeld AS held, NOT i.isHeld AS shown, FALSE AS wasVisible,
                   [{EVERY_CLASS}] AS changedClasses, i.contentHash
            FROM incoming i ANTI JOIN state USING (recordId) LEFT JOIN said w USING (recordId)
            WHERE NOT i.removed AND {str(is_last).upper()} AND coalesce(w.gone, 0) < {place}
        )
    """
