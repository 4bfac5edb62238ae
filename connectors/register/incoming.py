"""A delivery as the comparison sees it: one narrow row per record, the last of its delivery.

What the register has does not belong here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connectors.register.engine import parquet, staged_rows
from connectors.register.manifests import Effective
from connectors.schema import REMOVALS, staged_schema
from ipregister.deliveries import Kind
from ipregister.model import Right


@dataclass(frozen=True, slots=True)
class Arriving:
    """A staged delivery that is to be compared with the register.

    ``rows`` are ``connectors.schema.staged_schema``, ``removals`` are
    ``connectors.schema.REMOVALS``, ``findings`` are ``connectors.schema.FINDINGS`` (critical
    ones hold their record); ``rejected`` counts records that could not be read. ``order`` is
    its place in the office's order, texts compare as they sort; ``newer`` are the deliveries
    of this office and right behind that place that have taken effect already, oldest first.
    ``processing`` is the version of mapping and rules it was read with.
    """

    office: str
    right: Right
    kind: Kind
    rows: Sequence[Path]
    removals: Sequence[Path] = ()
    findings: Sequence[Path] = ()
    rejected: int = 0
    delivery_id: str = ""
    order: str = ""
    newer: Sequence[Effective] = ()
    processing: str = ""

    @property
    def is_full(self) -> bool:
        """Tell whether absent records vanish."""
        return self.kind is Kind.FULL_EXTRACTION


def define_incoming(con: duckdb.DuckDBPyConnection, arriving: Arriving) -> None:
    """Make ``delivered`` (every record) and ``incoming`` (one row per record, with ``isHeld``).

    In a full extraction a number with two contents is held: neither can be preferred. An
    update is a sequence of events, there the last one counts.
    """
    _define_delivered(con, arriving)
    con.execute("CREATE TEMP TABLE critical (recordId VARCHAR)")
    if arriving.findings:
        con.execute(
            f"""
            INSERT INTO critical
            SELECT DISTINCT recordId
            FROM {parquet(arriving.findings)}
            WHERE severity = 'critical' AND recordId IS NOT NULL
            """
        )
    # Apart: ordering a million records because some came twice took a third of the comparison.
    con.execute(
        """
        CREATE TEMP TABLE repeated AS
        SELECT recordId FROM delivered GROUP BY recordId HAVING count(*) > 1
        """
    )
    con.execute(
        f"""
        CREATE TEMP TABLE incoming AS
        WITH numbered AS (
            SELECT *,
                   row_number() OVER latest AS nth,
                   min(contentHash) OVER same <> max(contentHash) OVER same AS differs
            FROM delivered SEMI JOIN repeated USING (recordId)
            WINDOW same AS (PARTITION BY recordId),
                   latest AS (PARTITION BY recordId ORDER BY part DESC, sequence DESC)
        ), latest AS (
            SELECT *, FALSE AS differs FROM delivered ANTI JOIN repeated USING (recordId)
            UNION ALL BY NAME
            SELECT * EXCLUDE (nth) FROM numbered WHERE nth = 1
        )
        SELECT * EXCLUDE (critical),
               critical
               OR recordId IN (SELECT recordId FROM critical)
               OR (differs AND {str(arriving.is_full).upper()}) AS isHeld
        FROM latest
        """
    )


def _define_delivered(con: duckdb.DuckDBPyConnection, arriving: Arriving) -> None:
    """Make ``delivered``: every staged record, narrow; a removal has no content."""
    con.register("no_rows", staged_schema(arriving.right).empty_table())
    con.register("no_removals", REMOVALS.empty_table())
    shared = "recordId, recordKey, applicationNumber, source, critical, part, sequence"
    con.execute(
        f"""
        CREATE TEMP TABLE delivered AS
        SELECT {shared}, contentHash, classHashes, FALSE AS removed
        FROM {staged_rows(arriving.rows) if arriving.rows else "no_rows"}
        UNION ALL BY NAME
        SELECT {shared}, '' AS contentHash, TRUE AS removed
        FROM {parquet(arriving.removals) if arriving.removals else "no_removals"}
        """
    )
