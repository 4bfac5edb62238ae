"""What it takes to make a delivery count as if it had never come.

Its rows stay in the log and count no more. Newer deliveries stay as they are: where one found
unchanged what only this delivery had brought, the log gets that row (``lateness``, the other
way round). What readers then see is what the register says without it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from connectors.changes import BATCH_ROWS
from connectors.rebuilding import served
from connectors.record_facts import day_of_log, row_facts
from connectors.register.difference import define_state
from connectors.register.engine import literal, parquet
from connectors.register.incoming import Arriving
from connectors.register.lateness import Counts, define_effects, measured_amendments
from connectors.register.ordering import ever_there, ranked
from connectors.register.store import RegisterStore
from connectors.rendering import render_fragments
from connectors.schema import canonical_fields
from connectors.served_rows import CLASSES, WORDS
from connectors.serving.rows import Publication, ServingRow
from ipregister.model import load_tables

TOUCHED = "touched.parquet"
"""Stands beside the plan: ``recordId, changeSeq`` of every record the delivery changed."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """A planned reversal: rows for the log, and by how much newer receipts change."""

    plan: Path
    changes: int
    amendments: dict[str, Counts]


def revert_name(delivery_id: str) -> str:
    """Return the name under which a reversal's own rows and publication are known."""
    return f"{delivery_id}~reverted"


def plan_reversal(
    store: RegisterStore, taken_out: Arriving, manifest: Path, plan: Path
) -> Reversal:
    """Work out what follows for newer deliveries; ``plan`` and ``TOUCHED`` are written.

    Args:
        store: the register.
        taken_out: the delivery, with the newer ones that took effect, and no rows.
        manifest: what it said.
        plan: as ``difference`` writes it.
    """
    mine = literal(taken_out.delivery_id)
    with store.connect() as con:
        _define_log(con, store, taken_out)
        before = f"(SELECT * FROM log WHERE officeOrder < {literal(taken_out.order)})"
        define_state(con, ever_there(before))
        con.execute(
            f"""
            CREATE TEMP TABLE own AS
            SELECT recordId, recordKey, op, held, contentHash, changeSeq,
                   recordId IN (SELECT recordId FROM {parquet([manifest])}) AS mentioned
            FROM log
            WHERE deliveryId = {mine}
            QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY changeSeq DESC) = 1
            """
        )
        con.execute("CREATE TEMP TABLE compared AS SELECT * FROM own WHERE mentioned")
        con.execute("CREATE TEMP TABLE vanishing AS SELECT * FROM own WHERE NOT mentioned")
        con.execute(
            "CREATE TEMP TABLE incoming AS "
            "SELECT recordId, contentHash, classHashes, FALSE AS removed FROM log LIMIT 0"
        )
        define_effects(con, taken_out, removing=True)
        con.execute(
            f"""
            COPY (
                SELECT *, TRUE AS amends, NULL::INTEGER AS part, NULL::INTEGER AS sequence,
                       row_number() OVER (ORDER BY officeOrder, recordId) - 1 AS place
                FROM corrections ORDER BY place
            ) TO {literal(plan)} (FORMAT parquet)
            """
        )
        con.execute(
            f"""
            COPY (
                SELECT recordId, max(changeSeq) AS changeSeq FROM log
                WHERE deliveryId = {mine}
                GROUP BY recordId ORDER BY recordId
            ) TO {literal(plan.with_name(TOUCHED))} (FORMAT parquet)
            """
        )
        ((changes,),) = con.execute("SELECT count(*) FROM corrections").fetchall()
        return Reversal(plan, int(changes), measured_amendments(con, taken_out))


def measured_reversal(store: RegisterStore, taken_out: Arriving, touched: Path) -> dict[str, int]:
    """Return what a reversal does for readers; counts of records.

    ``removed`` are gone, ``restored`` are there again, ``changedBack`` have an earlier content,
    ``kept`` stay as they are: a newer delivery speaks of them.
    """
    with store.connect() as con:
        _define_log(con, store, taken_out)
        mine = revert_name(taken_out.delivery_id)
        before = f"(SELECT * FROM log WHERE coalesce(amendedBy, '') <> {literal(mine)})"
        con.execute(f"CREATE TEMP TABLE was AS {_visible(before, touched)}")
        store.define_log(con, taken_out.right, taken_out.office, "counting")
        con.execute(f"CREATE TEMP TABLE now AS {_visible('counting', touched)}")
        names = ("removed", "restored", "changedBack", "kept")
        counts = con.execute(
            """
            SELECT count(*) FILTER (n.recordId IS NULL), count(*) FILTER (w.recordId IS NULL),
                   count(*) FILTER (n.contentHash <> w.contentHash),
                   count(*) FILTER (n.contentHash = w.contentHash)
            FROM was w FULL JOIN now n USING (recordId)
            """
        ).fetchall()[0]
    return dict(zip(names, counts, strict=True))


def reversed_rows(
    con: duckdb.DuckDBPyConnection, store: RegisterStore, taken_out: Arriving, touched: Path
) -> tuple[Iterator[ServingRow], list[tuple[str, int]]]:
    """Return what readers get of the records a delivery had changed: rows, and what is gone."""
    right = taken_out.right
    store.define_log(con, right, taken_out.office, "log")
    con.execute(f"CREATE TEMP TABLE now AS {_visible('log', touched)}")
    gone = con.execute(
        f"""
        SELECT recordId, changeSeq FROM {parquet([touched])} ANTI JOIN now USING (recordId)
        ORDER BY changeSeq
        """
    ).fetchall()
    columns = ", ".join(f'r."{field.name}"' for field in canonical_fields(right))
    query = con.sql(
        f"""
        SELECT r.changeSeq, r.recordKey, {row_facts(right, day_of_log(taken_out.office))},
               {CLASSES[right]} AS ".classes",
               {WORDS[right]} AS ".words", {columns}
        FROM log r SEMI JOIN now USING (changeSeq)
        ORDER BY r.changeSeq
        """
    )
    table = load_tables()[right]

    def rows() -> Iterator[ServingRow]:
        for batch in query.to_arrow_reader(BATCH_ROWS):
            for row in batch.to_pylist():
                yield served(row, render_fragments(table, row))

    return rows(), gone


def publish_reversal(
    store: RegisterStore, taken_out: Arriving, touched: Path, serving: Any, at: Any
) -> None:
    """Show readers the state without the delivery, all at once; again changes nothing."""
    with store.connect() as con:
        rows, gone = reversed_rows(con, store, taken_out, touched)
        serving.publish(
            Publication(
                deliveryId=revert_name(taken_out.delivery_id),
                office=taken_out.office,
                right=taken_out.right,
                at=at,
                upserts=rows,
                vanished=gone,
            )
        )


def _define_log(con: duckdb.DuckDBPyConnection, store: RegisterStore, taken_out: Arriving) -> None:
    """Make ``log`` with the rows of the delivery itself, whether it is marked already or not."""
    others = store.reverted(taken_out.right, taken_out.office) - {taken_out.delivery_id}
    store.define_log(con, taken_out.right, taken_out.office, "log", but_reverted=others)


def _visible(rows: str, touched: Path) -> str:
    """Return the query of the newest version that is not held, of touched records there are."""
    return f"""
        SELECT recordId, contentHash, changeSeq
        FROM (
            SELECT recordId, contentHash, changeSeq, op, held, rank FROM ({ranked(rows)})
            SEMI JOIN {parquet([touched])} USING (recordId)
        )
        WHERE NOT held
        QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY rank DESC) = 1 AND op <> 'vanish'
    """
