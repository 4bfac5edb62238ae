"""How a staged delivery differs from the register, record by record.

The outcome is a plan: one row per change, in delivery order, with its place in the log. The
plan decides nothing about visibility beyond what the findings said: a record with a critical
finding is kept and held, the last good version stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connectors.register.engine import literal, parquet
from connectors.register.store import RegisterStore
from connectors.schema import staged_schema
from ipregister.deliveries import Kind, Receipt
from ipregister.model import Disclosure, Right


@dataclass(frozen=True, slots=True)
class Appearance:
    """Where a record stands in a delivery."""

    record_id: str
    application_number: str | None
    file: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a delivery would change: counts of records, and what a guard needs to know.

    ``had`` is what the register has from this office, ``vanishing`` how many of those a full
    extraction does not contain. ``conflicts`` are records with different contents in one
    delivery, ``outdated`` those of which the register has a newer version.

    ``plan`` is a Parquet file: ``recordId, recordKey, part, sequence, op, held,
    wasVisible, changedClasses, place`` (0-based, in delivery order).
    """

    plan: Path
    receipt: Receipt
    had: int
    vanishing: int
    conflicts: tuple[Appearance, ...]
    outdated: tuple[Appearance, ...]
    changes: int


def difference(
    store: RegisterStore,
    *,
    office: str,
    right: Right,
    kind: Kind,
    rows: Sequence[Path],
    findings: Sequence[Path],
    plan: Path,
    rejected: int,
    order: str = "",
    latest_full: str | None = None,
) -> Difference:
    """Compare staged rows with the register.

    Older never overwrites newer: a version older than the one the register has, or than a
    full extraction that no longer has the record, changes nothing.

    Args:
        store: the register.
        office: whose rows.
        right: of which right.
        kind: a full extraction lets absent records vanish.
        rows: staged rows, ``connectors.schema.staged_schema``.
        findings: ``connectors.schema.FINDINGS``; critical ones hold their record.
        plan: where the plan is written.
        rejected: records that could not be read, for the receipt.
        order: the delivery's place in the office's order; texts compare as they sort.
        latest_full: place of the newest full extraction that took effect, if any.
    """
    full = kind is Kind.FULL_EXTRACTION
    with store.connect() as con:
        store.define_history(con, right, office, "history")
        _define_delivered(con, right, rows)
        _define_incoming(con, findings, full=full)
        _define_state(con)
        con.execute("SET VARIABLE delivery_order = ?", [order])
        con.execute("SET VARIABLE latest_full = ?", [latest_full])
        _define_compared(con, full=full)
        _define_vanishing(con, full=full)
        _write_plan(con, plan)
        return _measured(con, plan, rejected)


def _define_delivered(con: duckdb.DuckDBPyConnection, right: Right, rows: Sequence[Path]) -> None:
    """Make ``delivered``: every staged row, narrow."""
    con.register("nothing", staged_schema(right).empty_table())
    con.execute(
        f"""
        CREATE TEMP TABLE delivered AS
        SELECT recordId, recordKey, applicationNumber, contentHash, classHashes,
               sourceFile, sourceLine, critical, part, sequence
        FROM {parquet(rows) if rows else "nothing"}
        """
    )


def _define_incoming(
    con: duckdb.DuckDBPyConnection, findings: Sequence[Path], *, full: bool
) -> None:
    """Make ``incoming``: one row per record, the last one of its delivery.

    In a full extraction a number with two contents is held: neither can be preferred. An
    update is a sequence of events, there the last one counts.
    """
    con.execute("CREATE TEMP TABLE critical (recordId VARCHAR)")
    if findings:
        con.execute(
            f"""
            INSERT INTO critical
            SELECT DISTINCT recordId
            FROM {parquet(findings)}
            WHERE severity = 'critical' AND recordId IS NOT NULL
            """
        )
    con.execute(
        f"""
        CREATE TEMP TABLE incoming AS
        WITH numbered AS (
            SELECT *,
                   row_number() OVER latest AS nth,
                   min(contentHash) OVER same <> max(contentHash) OVER same AS differs
            FROM delivered
            WINDOW same AS (PARTITION BY recordId),
                   latest AS (PARTITION BY recordId ORDER BY part DESC, sequence DESC)
        )
        SELECT * EXCLUDE (nth, critical),
               critical
               OR recordId IN (SELECT recordId FROM critical)
               OR (differs AND {str(full).upper()}) AS isHeld
        FROM numbered
        WHERE nth = 1
        """
    )


def _define_state(con: duckdb.DuckDBPyConnection) -> None:
    """Make ``state``: what the register knows of every record, latest and latest visible."""
    con.execute(
        """
        CREATE TEMP TABLE state AS
        SELECT recordId,
               any_value(recordKey) AS recordKey,
               arg_max(op, changeSeq) AS op,
               arg_max(contentHash, changeSeq) AS contentHash,
               arg_max(held, changeSeq) AS held,
               max(officeOrder) AS officeOrder,
               arg_max(op, changeSeq) FILTER (WHERE NOT held) AS visibleOp,
               arg_max(classHashes, changeSeq) FILTER (WHERE NOT held) AS visibleHashes
        FROM history
        GROUP BY recordId
        """
    )


def _define_compared(con: duckdb.DuckDBPyConnection, *, full: bool) -> None:
    """Make ``compared``: what became of every incoming record, and the classes it touches.

    An update that finds a record as it is confirms it, in the log too: an older extraction
    that comes late must not let it vanish. A full extraction vouches for its records as such.
    """
    changed = _classes_where("i.classHashes.{name} IS DISTINCT FROM s.visibleHashes.{name}")
    present = _classes_where("i.classHashes.{name} <> ''")
    con.execute(
        f"""
        CREATE TEMP TABLE compared AS
        SELECT i.recordId, i.recordKey, i.part, i.sequence, i.isHeld AS held,
               CASE WHEN greatest(s.officeOrder, getvariable('latest_full'))
                         > getvariable('delivery_order') THEN 'outdated'
                    WHEN s.recordId IS NULL THEN 'insert'
                    WHEN s.op = 'vanish' THEN 'restore'
                    WHEN s.contentHash <> i.contentHash OR s.held <> i.isHeld THEN 'update'
                    WHEN s.officeOrder < getvariable('delivery_order') AND NOT {str(full).upper()}
                    THEN 'confirm'
                    ELSE 'unchanged' END AS op,
               coalesce(s.visibleOp <> 'vanish', FALSE) AS wasVisible,
               CASE WHEN coalesce(s.visibleOp <> 'vanish', FALSE) THEN {changed}
                    ELSE {present} END AS changedClasses
        FROM incoming i LEFT JOIN state s USING (recordId)
        """
    )


def _classes_where(condition: str) -> str:
    cases = ", ".join(
        f"CASE WHEN {condition.format(name=f'{chr(34)}{name}{chr(34)}')} THEN '{name}' END"
        for name in Disclosure
    )
    return f"list_filter([{cases}], lambda c: c IS NOT NULL)"


def _define_vanishing(con: duckdb.DuckDBPyConnection, *, full: bool) -> None:
    """Make ``vanishing``: records a full extraction no longer contains.

    A newer full extraction vouches for every record, also for those it left unchanged and
    which therefore have no row of it in the log.
    """
    con.execute(
        f"""
        CREATE TEMP TABLE vanishing AS
        SELECT recordId, recordKey, coalesce(visibleOp <> 'vanish', FALSE) AS wasVisible
        FROM state ANTI JOIN incoming USING (recordId)
        WHERE op <> 'vanish' AND {str(full).upper()}
          AND greatest(officeOrder, getvariable('latest_full')) <= getvariable('delivery_order')
        """
    )


def _write_plan(con: duckdb.DuckDBPyConnection, plan: Path) -> None:
    every = ", ".join(f"'{name}'" for name in Disclosure)
    con.execute(
        f"""
        COPY (
            SELECT *, row_number() OVER (ORDER BY part NULLS LAST, sequence, recordId) - 1 AS place
            FROM (
                SELECT recordId, recordKey, part, sequence, op, held, wasVisible, changedClasses
                FROM compared
                WHERE op NOT IN ('unchanged', 'outdated')
                UNION ALL
                SELECT recordId, recordKey, NULL, NULL, 'vanish', FALSE, wasVisible, [{every}]
                FROM vanishing
            )
            ORDER BY place
        ) TO {literal(plan)} (FORMAT parquet)
        """
    )


def _measured(con: duckdb.DuckDBPyConnection, plan: Path, rejected: int) -> Difference:
    counts = dict(
        con.execute(
            """
            SELECT CASE WHEN op = 'outdated' OR NOT held THEN op ELSE 'held' END, count(*)
            FROM compared
            GROUP BY 1
            """
        ).fetchall()
    )
    delivered, distinct, had, vanishing, changes = con.execute(
        f"""
        SELECT (SELECT count(*) FROM delivered),
               (SELECT count(*) FROM incoming),
               (SELECT count(*) FROM state WHERE op <> 'vanish'),
               (SELECT count(*) FROM vanishing),
               (SELECT count(*) FROM {parquet([plan])})
        """
    ).fetchall()[0]
    receipt = Receipt(
        recordsRead=delivered + rejected,
        accepted=sum(counts.get(op, 0) for op in ("insert", "update", "restore")),
        held=counts.get("held", 0),
        rejected=rejected,
        unchanged=sum(counts.get(op, 0) for op in ("unchanged", "confirm", "outdated")),
        duplicates=delivered - distinct,
        inserted=counts.get("insert", 0),
        updated=counts.get("update", 0),
        vanished=vanishing,
        restored=counts.get("restore", 0),
    )
    return Difference(
        plan,
        receipt,
        had,
        vanishing,
        conflicts=_appearances(con, "SELECT recordId FROM incoming WHERE differs"),
        outdated=_appearances(con, "SELECT recordId FROM compared WHERE op = 'outdated'"),
        changes=changes,
    )


def _appearances(con: duckdb.DuckDBPyConnection, records: str) -> tuple[Appearance, ...]:
    """Return every place where some records stand, in delivery order."""
    found = con.execute(
        f"""
        SELECT recordId, applicationNumber, sourceFile, sourceLine
        FROM delivered SEMI JOIN ({records}) USING (recordId)
        ORDER BY part, sequence
        """
    ).fetchall()
    return tuple(Appearance(*row) for row in found)
