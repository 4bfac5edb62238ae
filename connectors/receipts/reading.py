"""What an office asks of the receipts: who read what, when, and was what I took back dropped?

Sealed days are read from Parquet, the open ones from their journals; both look the same to
the questions. Who may ask is not decided here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from connectors.ledger.columns import from_microseconds, microseconds
from connectors.receipts.journal import read_journal
from connectors.receipts.sealing import FILES, held_by, open_journals, seals
from connectors.receipts.snapshots import contents, contents_of, size_of
from connectors.receipts.tables import NAMED, REQUESTS, tables_of
from connectors.register import engine
from connectors.register.engine import parquet
from connectors.serving.rows import BITS
from ipregister.instants import instant
from ipregister.model import Right

Place = tuple[int, str, str]
"""An answer's place in an office's receipts: instant, request, right. Sealing its day alters none
of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which receipts of one office; what is ``None`` is not asked for."""

    office: str
    right: Right | None = None
    third_party: str | None = None
    record_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessReceipt:
    """One answer to a third party, as the office it was about sees it.

    ``acknowledgedAt``: when the reader came back with the cursor of an answer that took
    records back, which it does when it has dropped them.
    """

    at: datetime
    requestId: str
    thirdParty: str
    clientId: str
    officeCode: str
    right: Right
    route: str
    authorizationVersion: int
    classes: tuple[str, ...]
    records: int
    retracted: int
    snapshotId: str | None
    acknowledgedAt: datetime | None
    place: Place

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        acknowledged = self.acknowledgedAt
        return {
            "at": instant(self.at),
            "requestId": self.requestId,
            "thirdParty": self.thirdParty,
            "clientId": self.clientId,
            "officeCode": self.officeCode,
            "right": self.right,
            "route": self.route,
            "authorizationVersion": self.authorizationVersion,
            "classes": list(self.classes),
            "records": self.records,
            "retracted": self.retracted,
            "snapshotId": self.snapshotId,
            "acknowledgedAt": None if acknowledged is None else instant(acknowledged),
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """How much one third party read of one right in a period; records are distinct ``recordIds``.

    ``retractionsOpen`` are records that were taken back and whose dropping it has not confirmed.
    """

    thirdParty: str
    right: Right
    answers: int
    records: int
    firstAt: datetime
    lastAt: datetime
    retractionsOpen: int

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "thirdParty": self.thirdParty,
            "right": self.right,
            "answers": self.answers,
            "records": self.records,
            "firstAt": instant(self.firstAt),
            "lastAt": instant(self.lastAt),
            "retractionsOpen": self.retractionsOpen,
        }


class Receipts:
    """Questions about the receipts below ``root``."""

    def __init__(self, root: Path) -> None:
        """Read below ``root``."""
        self.root = root

    def find(self, asked: Asked, *, before: Place | None = None, limit: int) -> list[AccessReceipt]:
        """Return up to ``limit`` receipts, newest first, behind a place."""
        with self._views(asked) as con:
            wanted, values = _condition(self.root, asked)
            if before is not None:
                wanted += " AND (r.at, r.requestId, r.ipRight) < (?, ?, ?)"
                values += before
            rows = con.execute(
                f"""
                SELECT r.*, (
                    SELECT min(a.at) FROM requests a
                    WHERE r.retracted > 0 AND a.clientId = r.clientId AND a.at >= r.at
                      AND a.cameWith = r.leftWith AND r.leftWith <> ''::BLOB)
                FROM requests r
                WHERE {wanted}
                ORDER BY r.at DESC, r.requestId DESC, r.ipRight DESC
                LIMIT ?
                """,
                [*values, limit],
            ).fetchall()
        found = [_receipt(*row) for row in rows]
        # A file names its snapshot, and a part of it the whole: what was in it is kept once.
        return [
            replace(one, records=size_of(self.root, one.snapshotId)) if one.snapshotId else one
            for one in found
        ]

    def named(self, asked: Asked, request_id: str) -> dict[str, list[str]]:
        """Return what one answer named: ``records`` and ``retracted``, sorted."""
        with self._views(asked) as con:
            wanted, values = _condition(self.root, asked)
            wanted, values = f"{wanted} AND r.requestId = ?", [*values, request_id]
            held = self._contents(con, wanted, values)
            rows = con.execute(
                f"""
                SELECT n.recordId, n.isRetracted
                FROM requests r JOIN named n USING (source, request) WHERE {wanted}
                UNION
                SELECT recordId, FALSE FROM ({held})
                ORDER BY recordId
                """,
                values,
            ).fetchall()
        return {
            "records": [name for name, is_retracted in rows if not is_retracted],
            "retracted": [name for name, is_retracted in rows if is_retracted],
        }

    def usage(self, asked: Asked) -> list[Usage]:
        """Return how much each third party read of each right, by name."""
        with self._views(asked) as con:
            wanted, values = _condition(self.root, asked)
            held = self._contents(con, wanted, values)
            rows = con.execute(
                f"""
                WITH mine AS (SELECT * FROM requests r WHERE {wanted}),
                     read AS (
                        SELECT m.thirdParty, m.ipRight, n.recordId
                        FROM mine m JOIN named n USING (source, request)
                        WHERE NOT n.isRetracted
                        UNION
                        SELECT f.thirdParty, f.ipRight, c.recordId
                        FROM (SELECT DISTINCT thirdParty, ipRight, snapshot FROM mine) f
                        JOIN ({held}) c USING (snapshot)),
                     known AS (
                        SELECT thirdParty, ipRight, count(*) AS records FROM read GROUP BY ALL),
                     held_on_to AS (
                        SELECT m.thirdParty, m.ipRight, count(DISTINCT n.recordId) AS records
                        FROM mine m JOIN named n USING (source, request)
                        WHERE n.isRetracted AND NOT EXISTS (
                            SELECT 1 FROM requests a
                            WHERE a.clientId = m.clientId AND a.cameWith = m.leftWith
                              AND a.at >= m.at AND m.leftWith <> ''::BLOB)
                        GROUP BY ALL)
                SELECT m.thirdParty, m.ipRight, count(*), coalesce(any_value(k.records), 0),
                       min(m.at), max(m.at), coalesce(any_value(h.records), 0)
                FROM mine m LEFT JOIN known k USING (thirdParty, ipRight)
                     LEFT JOIN held_on_to h USING (thirdParty, ipRight)
                GROUP BY ALL ORDER BY ALL
                """,
                values,
            ).fetchall()
        return [
            Usage(
                *(party, Right(right), answers, records),
                *(from_microseconds(first), from_microseconds(last), open_),
            )
            for party, right, answers, records, first, last, open_ in rows
        ]

    def _contents(self, con: duckdb.DuckDBPyConnection, wanted: str, values: list[Any]) -> str:
        """Return the SQL of what is in the files that the wanted receipts name."""
        files = f"SELECT DISTINCT r.snapshot FROM requests r WHERE {wanted} AND r.snapshot <> ''"
        return contents(self.root, [name for (name,) in con.execute(files, values).fetchall()])

    @contextmanager
    def _views(self, asked: Asked) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection with the views ``requests`` and ``named`` over the asked days."""
        # Seals last: a day that is sealed meanwhile is told once, by its seal.
        opened = [path for path in open_journals(self.root) if _may_hold(path.name, asked)]
        tables = {path.name: made for path in opened if (made := _tables(path)) is not None}
        sealed = [folder for folder in seals(self.root) if _may_hold(folder.name, asked)]
        held = {name for folder in sealed for name in held_by(folder)} if tables else set()
        loose = [made for name, made in tables.items() if name not in held]
        con = engine.connect(temporary=self.root / ".spill")
        try:
            for place, (name, schema) in enumerate((("requests", REQUESTS), ("named", NAMED))):
                parts = [pair[place] for pair in loose] or [schema.empty_table()]
                con.register(f"open_{name}", pa.concat_tables(parts))
                view = f"SELECT * FROM open_{name}"
                if sealed:
                    files = parquet([folder / FILES[place] for folder in sealed])
                    view += f" UNION ALL SELECT * FROM {files}"
                con.execute(f"CREATE TEMP VIEW {name} AS {view}")
            yield con
        finally:
            con.close()


def _tables(journal: Path) -> tuple[pa.Table, pa.Table] | None:
    """Return what a journal holds; nothing of one that went because a seal holds it."""
    try:
        return tables_of(journal.name, read_journal(journal))
    except FileNotFoundError:
        return None


def _may_hold(name: str, asked: Asked) -> bool:
    """Tell whether a day may matter; acknowledgements come later, so later days always may."""
    return asked.since is None or name[:10] >= f"{asked.since:%Y-%m-%d}"


def _condition(root: Path, asked: Asked) -> tuple[str, list[Any]]:
    """Return the condition on ``requests r`` and its values."""
    wanted: list[str] = ["r.office = ?"]
    values: list[Any] = [asked.office]
    for column, value in (("ipRight", asked.right), ("thirdParty", asked.third_party)):
        if value is not None:
            wanted.append(f"r.{column} = ?")
            values.append(str(value))
    for comparison, limit in ((">=", asked.since), ("<", asked.until)):
        if limit is not None:
            wanted.append(f"r.at {comparison} ?")
            values.append(microseconds(limit))
    if asked.record_id is not None:
        wanted.append(
            "(EXISTS (SELECT 1 FROM named n WHERE n.source = r.source AND n.request = r.request "
            "AND n.recordId = ?) OR list_contains(?, r.snapshot))"
        )
        values += [asked.record_id, contents_of(root, asked.record_id)]
    return " AND ".join(wanted), values


def _receipt(*row: Any) -> AccessReceipt:
    _, _, at, request_id, client, party, office, right, route, version, classes = row[:11]
    records, retracted, snapshot, _, _, acknowledged = row[11:]
    return AccessReceipt(
        at=from_microseconds(at),
        requestId=request_id,
        thirdParty=party,
        clientId=client,
        officeCode=office,
        right=Right(right),
        route=route,
        authorizationVersion=version,
        classes=_classes(classes),
        records=records,
        retracted=retracted,
        snapshotId=snapshot or None,
        acknowledgedAt=None if acknowledged is None else from_microseconds(acknowledged),
        place=(at, request_id, right),
    )


def _classes(mask: int) -> tuple[str, ...]:
    return tuple(str(name) for name, bit in BITS.items() if bit & mask)
