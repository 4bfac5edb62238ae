"""Write records into one space: its rows, its postings, its feed.

Each class of a record stands at one place in the feed, the publication that touched it last;
older places are taken out as the record moves on, so the feed never outgrows the register.
Which records belong into a space is decided by ``writing``.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.serving.inserting import insert_new
from connectors.serving.preparing import Entry, entries_of
from connectors.serving.rows import BITS, CORE_BIT, EVERYTHING, Batch
from connectors.serving.schema import COUNTS, FACTS, NUMBER_BITS, PLACES
from connectors.serving.stored import Stored, bits, compare, find, has_any
from ipregister.model import Disclosure

_CLASSES = tuple(Disclosure)
_PLACES = tuple(enumerate(BITS.values()))
_UPDATED = (
    *("sort_key", "alive", "change_seq", "born", *PLACES),
    *("application_number", "registration_number", *FACTS, "postings", "search_text"),
)
_RECORD = ("id", "space", "record_id", *_UPDATED)
_PUT_RECORD = (
    f"INSERT INTO record ({', '.join(_RECORD)}) VALUES ({', '.join('?' * len(_RECORD))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _UPDATED)}"
)
_KEPT = ("change_seq", *PLACES, *FACTS, "postings", "search_text")
_KEEP_RECORD = f"UPDATE record SET {', '.join(f'{name} = ?' for name in _KEPT)} WHERE id = ?"
"""Names no column of an index: SQLite writes every index again whose columns are named."""
_NOTHING_FILED = (*(None,) * (2 + len(FACTS)), "", "")
_PUT_FRAGMENT = f"INSERT OR REPLACE INTO fragment VALUES (?{', ?' * len(_CLASSES)})"
_PUT_CHANGE = (
    "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, 0) "
    "ON CONFLICT DO UPDATE SET alive = excluded.alive, touched = touched | excluded.touched"
)


class Filed(NamedTuple):
    """What a space with its own fragments made of an entry, for spaces that borrow them."""

    number: int
    present: int
    changed: int


@dataclass(slots=True)
class _Batch:
    """Parameters of the statements of one batch."""

    records: list[tuple[object, ...]] = field(default_factory=list)
    kept: list[tuple[object, ...]] = field(default_factory=list)
    fragments: list[tuple[object, ...]] = field(default_factory=list)
    gone: list[tuple[int]] = field(default_factory=list)
    lives: list[tuple[object, ...]] = field(default_factory=list)
    postings: list[tuple[object, ...]] = field(default_factory=list)
    unposted: list[tuple[object, ...]] = field(default_factory=list)
    changes: list[tuple[object, ...]] = field(default_factory=list)
    left: list[tuple[object, ...]] = field(default_factory=list)
    cleared: list[tuple[object, ...]] = field(default_factory=list)


class Numbers:
    """Gives new numbers to records with fragments of their own, in one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Go on behind the highest number there is."""
        (self._last,) = connection.execute(
            "SELECT coalesce(max(id), 0) FROM record WHERE id < ?", (1 << NUMBER_BITS,)
        ).fetchone()

    def next(self, count: int = 1) -> int:
        """Return a number nobody has, the first of ``count``."""
        first = int(self._last) + 1
        self._last += count
        return first


class SpaceWriter:
    """One space while one publication is written into it."""

    def __init__(
        self, connection: sqlite3.Connection, space: int, publication: int, numbers: Numbers | None
    ) -> None:
        """Write into ``space``; without ``numbers`` it borrows its fragments."""
        self._connection = connection
        self._space = space
        self._publication = publication
        self._numbers = numbers
        self._batch = _Batch()
        self._touched = 0
        self._growth = 0
        self._is_new = not has_any(connection, space)

    def put_batch(self, batch: Batch) -> list[Filed]:
        """File records that were made ready, with their fragments, and return what was done.

        No record comes twice; into a new space they come without being looked for.
        """
        names = [record[1] for record in batch.ready.records]
        fragments = zip(*batch.fragments, strict=True)
        if not self._is_new and (
            stored := compare(self._connection, self._space, names, fragments)
        ):
            return self._put_all(entries_of(batch), stored)
        assert self._numbers is not None  # noqa: S101 - only spaces with fragments come here
        first = self._numbers.next(len(names))
        classes = insert_new(self._connection, self._space, self._publication, first, batch)
        self._growth += len(classes)
        for each in set(classes):
            self._touched |= each
        return [Filed(number, present, 0) for number, present in enumerate(classes, start=first)]

    def put(self, entries: Sequence[Entry]) -> list[Filed]:
        """File records together with their fragments; each at most once."""
        names, fragments = [each.record for each in entries], [each.fragments for each in entries]
        return self._put_all(entries, compare(self._connection, self._space, names, fragments))

    def _put_all(self, entries: Sequence[Entry], stored: Mapping[str, Stored]) -> list[Filed]:
        done = []
        for entry in entries:
            present = CORE_BIT | bits(entry.fragments)
            found = stored.get(entry.record)
            changed = found.changed if found else 0
            number = self._put(entry, found, self._next(found), present, changed)
            self._batch.fragments.append((number, *entry.fragments))
            done.append(Filed(number, present, changed))
        self._flush()
        return done

    def borrow(self, entries: Sequence[tuple[Entry, Filed]]) -> None:
        """File records whose fragments another space has."""
        stored = find(self._connection, self._space, [entry.record for entry, _ in entries])
        for entry, filed in entries:
            number = self._space << NUMBER_BITS | filed.number
            self._put(entry, stored.get(entry.record), number, filed.present, filed.changed)
        self._flush()

    def take(self, gone: dict[str, int]) -> None:
        """Take records away, by change number, as far as they are here."""
        for record, found in find(self._connection, self._space, list(gone)).items():
            if not found.alive:
                continue
            self._growth -= 1
            self._move(record, found, EVERYTHING, alive=False)
            self._batch.unposted += self._posted(record, found.sort_key, found.postings)
            if self._numbers is not None:
                self._batch.gone.append((found.number,))
            version = (found.sort_key, 0, gone[record], found.born, *found.places)
            identity = (found.number, self._space, record)
            self._batch.records.append((*identity, *version, *_NOTHING_FILED))
        self._flush()

    def close(self) -> None:
        """Count what was touched; a publication that touched nothing is not kept."""
        counts = ", ".join(COUNTS)
        before = self._connection.execute(
            f"SELECT {counts} FROM publication WHERE space = ? AND id < ? ORDER BY id DESC LIMIT 1",
            (self._space, self._publication),
        ).fetchone() or (0,) * len(COUNTS)
        after = [
            count + bool(bit & self._touched)
            for count, bit in zip(before, BITS.values(), strict=True)
        ]
        self._connection.execute(
            f"UPDATE publication SET ({counts}) = ({', '.join('?' * len(COUNTS))}) WHERE id = ?",
            (*after, self._publication),
        )
        self._connection.execute(
            "UPDATE space SET records = records + ? WHERE id = ?", (self._growth, self._space)
        )

    def _next(self, found: Stored | None) -> int:
        if found is not None:
            return found.number
        assert self._numbers is not None  # noqa: S101 - only spaces with fragments come here
        return self._numbers.next()

    def _put(
        self, entry: Entry, found: Stored | None, number: int, present: int, changed: int
    ) -> int:
        if found is None:
            found = Stored(number, self._publication)
            touched = present
        elif not found.alive:
            # Its life so far is remembered: who read it then may still have it.
            died = found.places[0]
            self._batch.lives.append((self._space, entry.record, found.born, died))
            found.born, touched = self._publication, EVERYTHING
        else:
            touched = changed
        self._growth += not found.alive
        self._move(entry.record, found, touched, alive=True)
        if (entry.postings, entry.sort_key) != (found.postings, found.sort_key):
            self._batch.unposted += self._posted(entry.record, found.sort_key, found.postings)
            wanted = self._posted(entry.record, entry.sort_key, entry.postings, found.number)
            self._batch.postings += wanted
        numbers, facts = entry.filed[:2], entry.filed[2:]
        if found.alive and (entry.sort_key, numbers) == (found.sort_key, found.numbers):
            self._batch.kept.append((entry.change, *found.places, *facts, found.number))
        else:
            version = (entry.sort_key, 1, entry.change, found.born, *found.places)
            identity = (found.number, self._space, entry.record)
            self._batch.records.append((*identity, *version, *numbers, *facts))
        return found.number

    def _move(self, record: str, found: Stored, touched: int, *, alive: bool) -> None:
        """Move the touched classes to this publication, and out of where they stood.

        Where the others stand it is noted that these were touched later.
        """
        if not touched:
            return
        self._touched |= touched
        batch = self._batch
        change = (self._space, self._publication, record, found.number, alive, touched)
        batch.changes.append(change)
        older = set(found.places) - {0, self._publication}
        for index, bit in _PLACES:
            if bit & touched:
                found.places[index] = self._publication
        for place in older:
            if place in found.places:  # other classes of the record stand there still
                batch.left.append((touched, self._space, place, record))
            else:
                batch.cleared.append((self._space, place, record))

    def _posted(
        self, record: str, sort_key: str, postings: str, *number: int
    ) -> list[tuple[object, ...]]:
        if not postings:
            return []
        return [
            (self._space, *posting.split(" ", 1), sort_key, record, *number)
            for posting in postings.split("\n")
        ]

    def _flush(self) -> None:
        run, batch, self._batch = self._connection.executemany, self._batch, _Batch()
        run(
            "DELETE FROM posting WHERE space = ? AND scheme = ? AND symbol = ? "
            "AND sort_key = ? AND record_id = ?",
            batch.unposted,
        )
        run(_PUT_RECORD, batch.records)
        run(_KEEP_RECORD, batch.kept)
        run(_PUT_FRAGMENT, batch.fragments)
        run("DELETE FROM fragment WHERE id = ?", batch.gone)
        run("INSERT OR REPLACE INTO life VALUES (?, ?, ?, ?)", batch.lives)
        # In the order of the table: a symbol's neighbours lie on one page.
        batch.postings.sort()
        run("INSERT OR REPLACE INTO posting VALUES (?, ?, ?, ?, ?, ?)", batch.postings)
        run(
            "UPDATE change SET touched = touched & ~?1, later = later | ?1 "
            "WHERE space = ?2 AND publication = ?3 AND record_id = ?4",
            batch.left,
        )
        run(
            "DELETE FROM change WHERE space = ? AND publication = ? AND record_id = ?",
            batch.cleared,
        )
        run(_PUT_CHANGE, batch.changes)
