"""What a grant would open, before anybody decides: counts, and records byte for byte.

A preview has a space of its own in temporary tables of one connection, filled with a few
records by the code that fills views. The statements that read for third parties then find
these tables instead of the file's; nothing of it is ever in the file.
"""

import re
from enum import StrEnum
from pathlib import Path
from typing import Self

from connectors.serving.reading import read_record
from connectors.serving.rows import BITS, Space, mask_of, view_of
from connectors.serving.schema import FACTS, FRAGMENT_COLUMNS, FRAGMENT_OF_RECORD, connect
from connectors.serving.spaces import fill, include, locate
from ipregister.authorizations import Grant

_TABLES = ("space", "publication", "record", "posting", "change", "life")
_FACTS_OF_R = ", ".join(f"r.{name}" for name in FACTS)


class Choice(StrEnum):
    """Which records of those inside are shown."""

    FIRST = "first"
    RANDOM = "random"
    MOST_WITHHELD = "most_withheld"


class Preview:
    """One preview of one office and right; a context."""

    def __init__(self, path: Path, space: Space) -> None:
        """Read from the store at ``path``; nothing is written to it."""
        self._connection = connect(path, writer=True)
        self._connection.execute("PRAGMA temp_store = MEMORY")
        self._connection.execute("BEGIN")  # several statements, one state
        self._space = space
        self._whole = locate(self._connection, space, "") or 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget everything."""
        self._connection.rollback()
        self._connection.close()

    def count(self, grant: Grant | None) -> int:
        """Return how many records a grant opens."""
        return self._count(grant, None)

    def lost(self, now: Grant, then: Grant | None) -> int:
        """Return how many records a reader under ``now`` would have to give back."""
        if then is None or now.allowed - then.allowed or (now.freeText and not then.freeText):
            return self.count(now)
        return self.count(now) - self._count(now, then)

    def records(
        self, grant: Grant, *, choose: Choice, limit: int, record: str | None = None
    ) -> list[tuple[str, bytes]]:
        """Return records as a reader would get them, with their identifiers."""
        chosen = self._choose(grant, choose, limit, record)
        space = self._whole
        if chosen and grant.has_view:
            space = self._fill(grant, chosen)
        mask = mask_of(grant.allowed)
        found = ((name, read_record(self._connection, space, name, mask)) for name in chosen)
        return [(name, body) for name, body in found if body is not None]

    def _count(self, grant: Grant | None, other: Grant | None) -> int:
        """Return how many records are inside one rule, or inside two."""
        if grant is None:
            return 0
        inside = "alive = 1"
        for name, each in (("included", grant), ("included_too", other)):
            if each is not None and each.rule is not None:
                include(self._connection, each.rule, name)
                inside += f" AND {name}({', '.join(FACTS)})"
        (count,) = self._connection.execute(
            f"SELECT count(*) FROM main.record WHERE space = ? AND {inside}", (self._whole,)
        ).fetchone()
        return int(count)

    def _choose(self, grant: Grant, choose: Choice, limit: int, record: str | None) -> list[str]:
        include(self._connection, grant.rule)
        where, values = "", [self._whole]
        if record is not None:
            where, values = "AND r.record_id = ?", [self._whole, record]  # type: ignore[list-item]
        withheld = [FRAGMENT_COLUMNS[name] for name in BITS if name not in grant.allowed]
        order = {
            Choice.FIRST: "r.sort_key, r.record_id",
            Choice.RANDOM: "random()",
            Choice.MOST_WITHHELD: f"{' + '.join(f'length({n})' for n in withheld) or 'NULL'} DESC, "
            "r.sort_key, r.record_id",
        }[choose]
        rows = self._connection.execute(
            f"SELECT r.record_id FROM main.record r JOIN main.fragment f ON {FRAGMENT_OF_RECORD} "
            f"WHERE r.space = ? AND r.alive = 1 AND included({_FACTS_OF_R}) {where} "
            f"ORDER BY {order} LIMIT ?",
            (*values, limit),
        )
        return [row[0] for row in rows]

    def _fill(self, grant: Grant, chosen: list[str]) -> int:
        """Make the temporary tables and fill them with the chosen records; return the space."""
        tables = _TABLES if grant.freeText else (*_TABLES, "fragment")
        for name, sql in self._connection.execute(
            f"SELECT name, sql FROM main.sqlite_master WHERE type = 'table' "
            f"AND name IN ({', '.join('?' * len(tables))})",
            tables,
        ).fetchall():
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
            self._connection.execute(re.sub("^CREATE TABLE", "CREATE TEMP TABLE", sql))
        office, right = self._space
        made = self._connection.execute(
            "INSERT INTO temp.space (office, ip_right, key, view) VALUES (?, ?, x'01', 'preview')",
            (office, str(right)),
        )
        space = int(made.lastrowid or 0)
        fill(self._connection, self._whole, space, right, view_of(grant), only=chosen)
        return space
