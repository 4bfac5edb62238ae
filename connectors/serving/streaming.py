"""Every record of a space, read piece by piece in one state of the store.

One statement runs from the first piece to the last and sees the state in which it began, so a
delivery that is published meanwhile does not show. It has a connection of its own, because a
reader may take minutes. While it lasts the write-ahead log cannot shrink, so whoever reads
sets an end to it.
"""

import sqlite3
from dataclasses import dataclass

from connectors.serving.counting import Count, count_records
from connectors.serving.patience import bounded
from connectors.serving.reading import START, page_statement
from connectors.serving.rows import Filters

PIECE = 500
"""Records of a piece: below 1 MB as a rule, so the first is there in a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records as JSON objects, in page order, and their identifiers."""

    bodies: list[bytes]
    records: list[str]


class Reading:
    """One reading of a space; close it, also when it is not read to the end."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        space: int,
        mask: int,
        filters: Filters,
        *,
        after: tuple[str, str] = START,
        descending: bool = False,
        count: Count = Count.NONE,
    ) -> None:
        """Start reading ``space`` on a connection that nobody else uses.

        It is in a transaction, so that what is counted is what is read, and ``space`` the number
        it has there.

        Raises:
            SearchTooSlow: counting took too long; the connection is closed.
        """
        try:
            self.count = count_records(connection, space, filters, count)
        except BaseException:
            connection.close()
            raise
        statement, values = page_statement(
            connection, space, mask, filters, after, descending=descending
        )
        self._connection = connection
        self._rows = connection.execute(statement, (*values, -1))

    def read(self) -> Piece | None:
        """Return the next records, ``None`` at the end."""
        with bounded(self._connection):
            rows = self._rows.fetchmany(PIECE)
        if not rows:
            return None
        return Piece([row[2] for row in rows], [row[1] for row in rows])

    def close(self) -> None:
        """Give up the state that was read."""
        self._connection.close()
