"""Serving store: every published record as ready JSON fragments, and the feed of changes.

Derived from the register, read by the API only. An answer is the concatenation of the
fragments a reader may see; a fragment it may not see is not read. One SQLite file in WAL
mode: readers see the state before or after a delivery, never a mixture. What may be read is
not decided here.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from connectors.serving import reading, writing
from connectors.serving.counting import Count, count_records
from connectors.serving.feed import read_changes
from connectors.serving.feed_page import Changes
from connectors.serving.folding import fold_number
from connectors.serving.marks import Mark
from connectors.serving.patience import SEARCH_SECONDS, bounded
from connectors.serving.places import Place, find_place
from connectors.serving.preview import Preview
from connectors.serving.reading import START, Page
from connectors.serving.rows import Filters, Publication, ServingRow, Space, mask_of, view_of
from connectors.serving.schema import connect
from connectors.serving.spaces import forget_unused, located, prepare
from connectors.serving.streaming import Piece, Reading
from connectors.serving.walks import PlaceUnknown, target_of
from connectors.serving.writing import microseconds
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

__all__ = [
    "START",
    "Changes",
    "Count",
    "Filters",
    "Mark",
    "Page",
    "Piece",
    "Place",
    "PlaceUnknown",
    "Publication",
    "Reading",
    "ServingRow",
    "ServingStore",
    "Space",
    "fold_number",
]

_ALL = Filters()


class ServingStore:
    """The published records of all offices and rights, in one SQLite file."""

    def __init__(
        self, path: Path, *, create: bool = True, search_seconds: float = SEARCH_SECONDS
    ) -> None:
        """Open the store.

        Args:
            path: the file.
            create: make it when it is not there.
            search_seconds: after which a page that is not found yet is given up.

        Raises:
            ConfigurationError: the file has another layout and must be rebuilt.
            StoreError: it is not there, and is not to be made.
        """
        self._path = path
        self._search_seconds = search_seconds
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        if create:
            connect(path, writer=False, create=True).close()
        self._reader()

    def close(self) -> None:
        """Close every connection of this store."""
        while self._opened:
            self._opened.pop().close()

    @property
    def path(self) -> Path:
        """Return the file, for a process that reads it by itself."""
        return self._path

    def publish(self, publication: Publication, logged: Callable[[], object] | None = None) -> None:
        """Make a delivery visible, wholly or not at all; the same delivery twice is once.

        ``logged``, where given, is called before it is visible, and stops that by raising.
        """
        with closing(connect(self._path, writer=True)) as connection:
            writing.publish(connection, publication, logged)

    def prepare(self, office: str, right: Right, grant: Grant) -> None:
        """Make the view of a grant, complete, before anybody reads under it."""
        with closing(connect(self._path, writer=True)) as connection:
            prepare(connection, (office, right), view_of(grant))

    def preview(self, office: str, right: Right) -> Preview:
        """Return what grants not yet given would open of a right; a context."""
        return Preview(self._path, (office, right))

    def forget_unused(
        self, used: Iterable[tuple[Space, Grant]], at: datetime, keep: timedelta
    ) -> int:
        """Remove views no grant has used for the time ``keep``; return how many."""
        with closing(connect(self._path, writer=True)) as connection:
            views = {(space, view_of(grant)) for space, grant in used}
            return forget_unused(connection, views, microseconds(at), keep)

    def record(self, office: str, right: Right, record_id: str, grant: Grant) -> bytes | None:
        """Return the allowed part of one record as a JSON object, if it is published.

        Raises:
            StoreError: the view of the grant is not prepared.
        """
        connection, view, mask = self._reader(), view_of(grant), mask_of(grant.allowed)
        found = reading.find_record(connection, (office, right), view, record_id, mask)
        if found is None:
            located(connection, (office, right), view)
        return found

    def is_gone(self, office: str, right: Right, record_id: str, grant: Grant) -> bool:
        """Tell whether a record was taken away that could be read under this grant."""
        with self._inside(office, right, grant) as (connection, space):
            return reading.is_gone(connection, space, record_id, grant.since)

    def newest(self, office: str, right: Right, grant: Grant) -> int:
        """Return when a reader's records were last published, in microseconds since 1970."""
        with self._inside(office, right, grant) as (connection, space):
            return reading.newest(connection, space)

    def page(
        self,
        office: str,
        right: Right,
        grant: Grant,
        filters: Filters,
        *,
        after: tuple[str, str] = START,
        limit: int,
        descending: bool = False,
        count: Count = Count.NONE,
    ) -> Page:
        """Return the allowed parts of up to ``limit`` records, by application number.

        Raises:
            SearchTooSlow: they were not found, or not counted, in time.
        """
        mask, seconds = mask_of(grant.allowed), self._search_seconds
        if filters == _ALL and count is Count.NONE:
            found = reading.find_page(
                *(self._reader(), (office, right), view_of(grant), mask),
                after=after,
                limit=limit,
                descending=descending,
            )
            if found.records:  # else there are none, or the view is not there
                return found
        with self._inside(office, right, grant) as (connection, space):
            with bounded(connection, seconds):
                page = reading.read_page(
                    *(connection, space, mask, filters),
                    after=after,
                    limit=limit,
                    descending=descending,
                )
            if count is Count.NONE:
                return page
            total = count_records(connection, space, filters, count, seconds=seconds)
            return replace(page, count=total)

    def place(self, office: str, right: Right, grant: Grant) -> Place:
        """Return what a reader sees at this moment; the same value, the same records."""
        with self._inside(office, right, grant) as (connection, space):
            return find_place(connection, space, mask_of(grant.allowed))

    def whole_place(self, office: str, right: Right, grant: Grant) -> Place:
        """Return the place with all classes: for what is kept inside the hub, of all of them."""
        return self.place(office, right, replace(grant, allowed=frozenset(Disclosure)))

    def reading(
        self,
        office: str,
        right: Right,
        grant: Grant,
        filters: Filters,
        *,
        after: tuple[str, str] = START,
        descending: bool = False,
        count: Count = Count.NONE,
    ) -> Reading:
        """Return a reading of the allowed parts of all records, in one state; close it."""
        connection, mask = connect(self._path, writer=False), mask_of(grant.allowed)
        try:
            connection.execute("BEGIN")
            space = located(connection, (office, right), view_of(grant))
        except BaseException:
            connection.close()
            raise
        return Reading(
            *(connection, space, mask, filters), after=after, descending=descending, count=count
        )

    def changes(
        self,
        grants: Mapping[Space, Grant],
        marks: Sequence[Mark] | None,
        limit: int,
        *,
        between: bytes = b",",
    ) -> Changes:
        """Return what happened after a reader's place, told by what it may see now.

        ``between`` is what will stand between two items of the page.

        Raises:
            PlaceUnknown: the place does not fit this store; start again without marks.
            StoreError: a view of a grant is not prepared.
        """
        connection = self._reader()
        with _one_state(connection):
            return read_changes(connection, grants, marks, limit, between)

    def places(self, grants: Mapping[Space, Grant]) -> dict[Space, str]:
        """Return how far the feed of each space is for a reader, and under which grant.

        Three words: what the reader is granted, where the feed stands in numbers the reader may
        know, and the classes it is granted of which view; a change it may not see alters none.
        """
        places = {}
        for space, grant in grants.items():
            with _one_state(self._reader()) as connection:
                target = target_of(connection, space, grant)
            if target is not None:
                view = f"{target.key.hex()} {target.since}"
                counts = ".".join(map(str, target.latest))
                granted, view = _short(f"{target.mask} {view}"), _short(view)
                places[space] = f"{granted} {counts} {target.mask}/{view}"
        return places

    def count(self, office: str, right: Right, grant: Grant) -> int:
        """Return how many records a reader may see."""
        with self._inside(office, right, grant) as (connection, space):
            return reading.count(connection, space)

    def totals(self) -> dict[Space, int]:
        """Return how many records are published, by office and right: for offices only."""
        rows = self._reader().execute("SELECT office, ip_right, records FROM space WHERE view = ''")
        return {(office, Right(right)): count for office, right, count in rows}

    @contextmanager
    def _inside(
        self, office: str, right: Right, grant: Grant
    ) -> Iterator[tuple[sqlite3.Connection, int]]:
        """Lend a connection in one state, with the number of a grant's space in this very state.

        A store that is made anew in this file counts its spaces anew: a number looked up a
        moment before may be another office's. 0 when nothing was published there yet.

        Raises:
            StoreError: its view is not prepared.
        """
        connection = self._reader()
        with _one_state(connection):
            yield connection, located(connection, (office, right), view_of(grant))

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, writer=False)
            self._opened.append(connection)
        return connection


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


@contextmanager
def _one_state(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Let several statements see the same state."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("COMMIT")
