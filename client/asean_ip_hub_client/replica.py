"""A local copy in a SQLite file that stays in step with what you may hold.

Each page of the feed and its cursor are one transaction: whatever happens, the copy is as of
some cursor and goes on from there. When the hub asks to begin again, everything is read anew
and what did not come again is dropped at the end, so the copy is never empty in between.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from asean_ip_hub_client.changes import Change, Page
from asean_ip_hub_client.errors import NOT_FOUND, RESYNC_REQUIRED, HubError, HubProblem
from asean_ip_hub_client.hub import Hub
from asean_ip_hub_client.records import Record

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    office TEXT NOT NULL, ip_right TEXT NOT NULL, record_id TEXT NOT NULL,
    round INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (office, ip_right, record_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (
    only INTEGER PRIMARY KEY CHECK (only = 1), query TEXT NOT NULL,
    cursor TEXT, round INTEGER NOT NULL, is_starting_again INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Synced:
    """What one synchronisation did, in numbers of changes; ``restarted``: all was read anew."""

    upserts: int = 0
    deletes: int = 0
    retractions: int = 0
    restarted: bool = False


class Replica:
    """The copy in ``path``; the file is made when it is not there."""

    def __init__(self, path: str | Path, *, office: str = "", right: str = "") -> None:
        """Open the copy of everything, or of one office or right only.

        Raises:
            HubError: the file is a copy of something else.
        """
        self._path, self._query = Path(path), json.dumps([office, right])
        self._office, self._right = office, right
        with closing(self._connect()) as connection, connection:
            # Who reads keeps nobody from synchronising, however long it takes.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            connection.execute(
                "INSERT INTO state VALUES (1, ?, NULL, 0, 0) ON CONFLICT DO NOTHING", (self._query,)
            )
            (query,) = connection.execute("SELECT query FROM state").fetchone()
        if query != self._query:
            raise HubError(f"{path} is a copy of {query}, not of {self._query}; use another file")

    def sync(self, hub: Hub) -> Synced:
        """Do what has happened since the last time.

        Raises:
            HubProblem: the hub refuses; the copy stays as of the last page done.
            HubUnreachable: as above.
            HubError: another program works on this copy at the same time.
        """
        restarted = False
        while True:
            try:
                return self._follow(hub, restarted=restarted)
            except HubProblem as exc:
                if exc.code != RESYNC_REQUIRED or restarted:
                    raise
                self._start_again()
                restarted = True

    def records(self, office: str = "", right: str = "") -> Iterator[Record]:
        """Yield the records held, of one office or right where asked."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT document FROM record WHERE ? IN ('', office) AND ? IN ('', ip_right) "
                "ORDER BY office, ip_right, record_id",
                (office, right),
            )
            for (document,) in rows:
                yield json.loads(document)

    def _follow(self, hub: Hub, *, restarted: bool) -> Synced:
        counts = {"upsert": 0, "delete": 0, "retract": 0}
        with closing(self._connect()) as connection:
            cursor, number, starting_again = connection.execute(
                "SELECT cursor, round, is_starting_again FROM state"
            ).fetchone()
            try:
                for page in hub.changes(cursor, office=self._office, right=self._right).pages():
                    self._apply(connection, page, number, cursor)
                    cursor = page.cursor
                    for change in page.changes:
                        counts[change.type] += 1
            except HubProblem as exc:
                # What was shared before it had to begin again is not shared any more: none of it
                # comes again, and it must not be held.
                if exc.code != NOT_FOUND or not starting_again:
                    raise
            with connection:
                connection.execute(
                    "DELETE FROM record WHERE round < ?1 "
                    "AND (SELECT is_starting_again FROM state WHERE round = ?1)",
                    (number,),
                )
                connection.execute(
                    "UPDATE state SET is_starting_again = 0 WHERE round = ?", (number,)
                )
        return Synced(counts["upsert"], counts["delete"], counts["retract"], restarted)

    def _apply(
        self, connection: sqlite3.Connection, page: Page, number: int, before: str | None
    ) -> None:
        with connection:  # one transaction: the changes of a page and its cursor
            for change in page.changes:
                if change.type == "upsert":
                    connection.execute(
                        "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)",
                        (*_key(change), number, json.dumps(change.record, ensure_ascii=False)),
                    )
                else:
                    connection.execute(
                        "DELETE FROM record WHERE office = ? AND ip_right = ? AND record_id = ?",
                        _key(change),
                    )
            mine = "UPDATE state SET cursor = ? WHERE round = ? AND cursor IS ?"
            if not connection.execute(mine, (page.cursor, number, before)).rowcount:
                # Begun again, what we write would look left over, and be dropped. Gone on, the
                # cursor would stand before what is held, and nobody would retract that.
                raise HubError("another program works on this copy; synchronise anew")

    def _start_again(self) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "UPDATE state SET cursor = NULL, round = round + 1, is_starting_again = 1"
            )

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60)
        # Many builds of SQLite leave the bytes of what is deleted in the file.
        connection.execute("PRAGMA secure_delete = ON")
        return connection


def _key(change: Change) -> tuple[str, str, str]:
    return change.office, change.right, change.record_id
