"""What the guards need to know of a delivery, measured against the register.

Reads a plan (``difference``), the staged rows it refers to and the register, and counts;
what the counts mean is ``ipregister.guards``. Wide columns are read of changed records only,
and only when so many changed that a field could have lost its values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from connectors.register import field_fills, respellings
from connectors.register.earlier import earlier_rows
from connectors.register.engine import literal, number, parquet, staged_rows
from connectors.register.ordering import ranked
from connectors.register.store import RegisterStore
from connectors.schema import staged_schema
from ipregister.deliveries import Kind
from ipregister.guard_limits import GuardLimits
from ipregister.guards import LOOK_FROM
from ipregister.holds import DroppedField, Year
from ipregister.measures import Collapse, Measures
from ipregister.model import Right

SAMPLES = 20
"""Numbers shown to who decides; the file of missing records has all."""

GONE = "op = 'vanish' AND shown"


@dataclass(frozen=True, slots=True)
class Compared:
    """A delivery that was compared with the register, as the guards look at it.

    Counts are of records: ``had`` by the register, ``in_this_file`` different and readable,
    ``read`` and ``rejected`` as in the receipt, ``foreign`` of another office, ``declared`` by
    the file itself, ``lost_before`` within the rolling days.
    """

    office: str
    right: Right
    kind: Kind
    plan: Path
    rows: Sequence[Path]
    had: int
    in_this_file: int
    read: int
    rejected: int
    foreign: int = 0
    declared: int | None = None
    lost_before: int = 0


def measure(store: RegisterStore, compared: Compared, limits: GuardLimits) -> Measures:
    """Return what the guards judge by."""
    with store.connect() as con:
        _define(con, store, compared)
        inserted, updated, added, vanishing = con.execute(
            f"""
            SELECT count(*) FILTER (op = 'insert'), count(*) FILTER (op = 'update' AND NOT held),
                   count(*) FILTER (op IN ('insert', 'restore')), count(*) FILTER ({GONE})
            FROM plan
            WHERE shown
            """
        ).fetchall()[0]
        common = max(0, compared.in_this_file - added)
        fields: tuple[DroppedField, ...] = ()
        values: tuple[Collapse, ...] = ()
        is_update = compared.kind is Kind.UPDATE
        enough = max(limits.small_collection, common // 2) if is_update else LOOK_FROM * common
        if common >= limits.small_collection and updated > 0 and updated >= enough:
            classes = field_fills.changed_classes(con, at_least=LOOK_FROM * common)
            earlier = partial(earlier_rows, store.log_files(compared.right, compared.office))
            if sample := field_fills.define(con, compared.right, classes, compared.kind, earlier):
                of = sample if is_update else common
                fields = field_fills.dropped(con, of, limits.fill_drop)
                values = field_fills.collapsed(con, compared.kind)
        is_new = inserted > min(limits.vanish_floor, compared.had // 2)
        returning, returning_to = _returning(con, updated, limits)
        return Measures(
            kind=compared.kind,
            had=compared.had,
            in_this_file=compared.in_this_file,
            vanishing=vanishing,
            inserted=inserted,
            updated=updated,
            common=common,
            rejected=compared.rejected,
            foreign=compared.foreign,
            read=compared.read,
            declared=compared.declared,
            returning=returning,
            returning_to=returning_to,
            lost_before=compared.lost_before,
            churn=respellings.find(con, compared.office, compared.kind) if is_new else None,
            dropped=fields,
            collapsed=values,
        )


def still_lost(store: RegisterStore, right: Right, office: str, deliveries: Sequence[str]) -> int:
    """Return how many records disappeared with some deliveries and are not back.

    Records are looked at, not receipts: what comes back after an older or an announced loss
    makes up for nothing that these deliveries lost.
    """
    if not deliveries:
        return 0
    by_these = f"op = 'vanish' AND deliveryId IN ({', '.join(map(literal, deliveries))})"
    with store.connect() as con:
        store.define_history(con, right, office, "history")
        con.execute(
            f"""
            CREATE TEMP TABLE lost AS
            SELECT recordId, deliveryId, op, held, officeOrder, changeSeq
            FROM history SEMI JOIN (SELECT recordId FROM history WHERE {by_these}) USING (recordId)
            """
        )
        return number(
            con,
            f"""
            SELECT count(*) FROM (
                SELECT arg_max(op, rank) AS op, arg_max(deliveryId, rank) AS deliveryId
                FROM ({ranked("lost")}) WHERE NOT held GROUP BY recordId
            )
            WHERE {by_these}
            """,
        )


def write_missing(
    store: RegisterStore, compared: Compared, target: Path
) -> tuple[tuple[str, ...], tuple[Year, ...]]:
    """Write which records would disappear; return some of their numbers, and counts by year.

    The file has one row a record: ``applicationNumber, recordId, applicationDate``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    with store.connect() as con:
        _define(con, store, compared)
        con.execute(
            f"""
            CREATE TEMP TABLE owned AS
            SELECT n.recordId, n.applicationNumber, n.applicationDate,
                   p.recordId IS NOT NULL AS gone
            FROM (
                SELECT recordId, op, applicationNumber, applicationDate FROM ({ranked("history")})
                QUALIFY row_number() OVER (PARTITION BY recordId ORDER BY rank DESC) = 1
            ) n LEFT JOIN (SELECT DISTINCT recordId FROM plan WHERE {GONE}) p USING (recordId)
            WHERE n.op <> 'vanish'
            """
        )
        con.execute(
            f"""
            COPY (
                SELECT applicationNumber, recordId, applicationDate FROM owned WHERE gone
                ORDER BY applicationDate NULLS LAST, applicationNumber, recordId
            ) TO {literal(unfinished)} (FORMAT parquet, COMPRESSION zstd)
            """
        )
        years = con.execute(
            """
            SELECT year(applicationDate), count(*), count(*) FILTER (gone) FROM owned
            GROUP BY 1 HAVING count(*) FILTER (gone) > 0 ORDER BY 1 NULLS LAST
            """
        ).fetchall()
        samples = con.execute(
            f"""
            SELECT coalesce(applicationNumber, recordId) FROM {parquet([unfinished])}
            LIMIT {SAMPLES}
            """
        ).fetchall()
    unfinished.replace(target)
    return tuple(number for (number,) in samples), tuple(Year(*year) for year in years)


def _define(con: duckdb.DuckDBPyConnection, store: RegisterStore, compared: Compared) -> None:
    """Make ``plan``, ``staged``, ``history`` and ``log``.

    Only what readers would see counts: a late delivery changes nothing that a newer one has.
    """
    store.define_history(con, compared.right, compared.office, "history")
    store.define_log(con, compared.right, compared.office, "log")
    con.execute(
        f"CREATE TEMP VIEW plan AS SELECT * FROM {parquet([compared.plan])} WHERE NOT amends"
    )
    con.register("nothing", staged_schema(compared.right).empty_table())
    source = staged_rows(compared.rows) if compared.rows else "nothing"
    con.execute(f"CREATE TEMP VIEW staged AS SELECT * FROM {source}")


def _returning(
    con: duckdb.DuckDBPyConnection, updated: int, limits: GuardLimits
) -> tuple[int, str | None]:
    """Return how many records go back to an earlier content, and the delivery it came with."""
    if updated <= limits.vanish_floor:
        return 0, None
    con.execute(
        """
        CREATE TEMP TABLE returned AS
        SELECT l.recordId, min_by(l.deliveryId, -l.changeSeq) AS deliveryId
        FROM (SELECT recordId, contentHash, deliveryId, changeSeq, held FROM log) l
        JOIN (
            SELECT p.recordId, s.contentHash
            FROM plan p JOIN staged s USING (part, sequence)
            WHERE p.op = 'update' AND NOT p.held AND p.shown
        ) c USING (recordId, contentHash)
        WHERE NOT l.held
        GROUP BY l.recordId
        """
    )
    rows = con.execute(
        "SELECT deliveryId, count(*) AS n FROM returned GROUP BY 1 ORDER BY n DESC, 1 DESC"
    ).fetchall()
    return sum(n for _, n in rows), rows[0][0] if rows else None
