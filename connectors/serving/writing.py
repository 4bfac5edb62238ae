"""Publish one delivery into the serving store: one transaction, memory of one batch.

The office's right as it is comes first; every view of it that is in use gets of the same
batch what belongs into it, so that all of them stand at the same delivery. How a space is
written is ``filing``, how a view comes to be ``spaces``.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TypeVar

from connectors.faults import reach
from connectors.serving.beginnings import begin_whole
from connectors.serving.filing import Filed, Numbers, SpaceWriter
from connectors.serving.preparing import Entry, batch_of, entries_of, facts_of
from connectors.serving.rows import Publication, read_view
from connectors.serving.schema import FACTS
from connectors.serving.texts import FreeTextRemover, free_text_remover
from ipregister.model import Right
from ipregister.row_rules import RowRule

_Thing = TypeVar("_Thing")

BATCH = 1_000
"""Records: about 4 MB of fragments; larger batches were not faster."""

_FACTS = slice(2, 2 + len(FACTS))
"""Where ``preparing.Entry.filed`` has what row rules look at: behind the numbers."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ViewWriter:
    """One view while one publication is written: which records, with which fragments."""

    def __init__(
        self, space: SpaceWriter, rule: RowRule | None, remover: FreeTextRemover | None
    ) -> None:
        """Write into ``space`` what ``rule`` includes; a ``remover`` makes its own fragments."""
        self._space = space
        self._rule = rule
        self._remover = remover

    def write(self, records: Sequence[tuple[Entry, Filed]]) -> None:
        """File what belongs here, and take away what no longer does."""
        outside = {entry.record: entry.change for entry, _ in records if not self._has(entry)}
        inside = [each for each in records if each[0].record not in outside]
        if inside and self._remover is not None:
            self._space.put([self._remover.strip(entry) for entry, _ in inside])
        elif inside:
            self._space.borrow(inside)
        if outside:
            self._space.take(outside)

    def take(self, gone: dict[str, int]) -> None:
        """Take records away."""
        self._space.take(gone)

    def close(self) -> None:
        """Count what was touched."""
        self._space.close()

    def _has(self, entry: Entry) -> bool:
        return self._rule is None or self._rule.includes(facts_of(entry.filed[_FACTS]))


def publish(
    connection: sqlite3.Connection,
    publication: Publication,
    logged: Callable[[], object] | None = None,
) -> None:
    """Make one delivery visible once ``logged`` returns; nothing happens if it already is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        reach("serving.begun")
        space = find_space(connection, publication.office, publication.right)
        if not _known(connection, publication.deliveryId, space):
            _write(connection, publication, space)
        reach("serving.written")
        if logged is not None:
            logged()
        connection.execute("COMMIT")
        reach("serving.committed")
    except BaseException:
        connection.rollback()  # nothing, where SQLite has done so as a disk is full
        raise


def find_space(connection: sqlite3.Connection, office: str, right: Right) -> int:
    """Return the space of a right as it is, making it when there is none."""
    where = (office, str(right))
    made = connection.execute(
        "INSERT INTO space (office, ip_right, key, view) VALUES (?, ?, x'', '') "
        "ON CONFLICT DO NOTHING",
        where,
    )
    (space,) = connection.execute(
        "SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = x''", where
    ).fetchone()
    if made.rowcount:
        begin_whole(connection, space)
    return int(space)


def open_publication(
    connection: sqlite3.Connection, space: int, delivery: str, at: int, cause: str
) -> int:
    """Return the number of a new publication in one space."""
    cursor = connection.execute(
        "INSERT INTO publication (delivery_id, space, at, cause) VALUES (?, ?, ?, ?)",
        (delivery, space, at, cause),
    )
    return int(cursor.lastrowid or 0)


def microseconds(at: datetime) -> int:
    """Return an instant as the store compares it: microseconds since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)


def _write(connection: sqlite3.Connection, publication: Publication, space: int) -> None:
    numbers = Numbers(connection)
    at = microseconds(publication.at)

    def writer(number: int, *, owns: bool) -> SpaceWriter:
        opened = open_publication(connection, number, publication.deliveryId, at, publication.cause)
        return SpaceWriter(connection, number, opened, numbers if owns else None)

    whole, views = writer(space, owns=True), list[ViewWriter]()
    for number, view in connection.execute(
        "SELECT id, view FROM space WHERE office = ? AND ip_right = ? AND view != ''",
        (publication.office, str(publication.right)),
    ).fetchall():
        rule, free_text = read_view(view)
        remover = None if free_text else free_text_remover(publication.right)
        views.append(ViewWriter(writer(number, owns=not free_text), rule, remover))
    for batch in chain(publication.ready, map(batch_of, batches(publication.upserts))):
        filed = whole.put_batch(batch)
        reach("serving.batch")
        if views:
            together = list(zip(entries_of(batch), filed, strict=True))
            for view in views:
                view.write(together)
    for vanished in batches(publication.vanished):
        whole.take(dict(vanished))
        for view in views:
            view.take(dict(vanished))
    reach("serving.counted")
    whole.close()
    for view in views:
        view.close()


def _known(connection: sqlite3.Connection, delivery_id: str, space: int) -> bool:
    return (
        connection.execute(
            "SELECT 1 FROM publication WHERE delivery_id = ? AND space = ?", (delivery_id, space)
        ).fetchone()
        is not None
    )


def batches(items: Iterable[_Thing]) -> Iterator[list[_Thing]]:
    """Yield the items in lists of ``BATCH``."""
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
