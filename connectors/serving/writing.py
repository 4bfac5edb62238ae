"""Publish one delivery into the serving store: one transaction, memory of one batch.

Each class of a record stands at one place in the feed, the publication that touched it last;
older places are taken out as the record moves on, so the feed never outgrows the register.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import ne
from typing import TypeVar

from connectors.serving.folding import fold_number, fold_symbol, fold_text
from connectors.serving.rows import BITS, EVERYTHING, Publication, ServingRow
from connectors.serving.schema import COUNTS, PLACES
from ipregister.model import Disclosure

_Thing = TypeVar("_Thing")

BATCH = 1_000
"""Records: about 4 MB of fragments; larger batches were not faster."""

_CLASSES = tuple(Disclosure)
_FIND = (
    "SELECT r.record_id, r.id, r.alive, r.sort_key, r.postings, "
    f"{', '.join('r.' + place for place in PLACES)}, {', '.join('f.' + name for name in _CLASSES)} "
    "FROM record r LEFT JOIN fragment f ON f.id = r.id WHERE r.space = ? AND r.record_id IN "
)
_UPDATED = (
    *("sort_key", "alive", "change_seq", *PLACES),
    *("application_number", "application_date", "registration_number"),
    *("postings", "search_text"),
)
_RECORD = ("id", "space", "record_id", "born", *_UPDATED)
_PUT_RECORD = (
    f"INSERT INTO record ({', '.join(_RECORD)}) VALUES ({', '.join('?' * len(_RECORD))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _UPDATED)}"
)
_PUT_FRAGMENT = f"INSERT OR REPLACE INTO fragment VALUES (?{', ?' * len(_CLASSES)})"
_PUT_CHANGE = (
    "INSERT INTO change VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET touched = touched | excluded.touched"
)


@dataclass(slots=True)
class _Batch:
    """Parameters of the statements of one batch, and what it does to the feed."""

    records: list[tuple[object, ...]] = field(default_factory=list)
    fragments: list[tuple[object, ...]] = field(default_factory=list)
    gone: list[tuple[int]] = field(default_factory=list)
    postings: list[tuple[object, ...]] = field(default_factory=list)
    unposted: list[tuple[object, ...]] = field(default_factory=list)
    changes: list[tuple[object, ...]] = field(default_factory=list)
    left: list[tuple[object, ...]] = field(default_factory=list)


@dataclass(slots=True)
class _Stored:
    """What the store has of a record; ``places`` as in ``schema.PLACES``."""

    number: int
    alive: bool
    sort_key: str
    postings: str
    places: list[int]
    fragments: tuple[bytes, ...]


def publish(connection: sqlite3.Connection, publication: Publication) -> None:
    """Make one delivery visible; nothing happens if it already is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _known(connection, publication.deliveryId):
            _Writer(connection, publication).write()
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _known(connection: sqlite3.Connection, delivery_id: str) -> bool:
    found = connection.execute("SELECT 1 FROM publication WHERE delivery_id = ?", (delivery_id,))
    return found.fetchone() is not None


class _Writer:
    """The state of one publication while it is written."""

    def __init__(self, connection: sqlite3.Connection, publication: Publication) -> None:
        self._connection = connection
        self._publication = publication
        self._space = self._find_space()
        self._id = self._open_publication()
        (self._last,) = connection.execute("SELECT coalesce(max(id), 0) FROM record").fetchone()
        self._touched = 0
        self._growth = 0

    def write(self) -> None:
        for rows in _batches(self._publication.upserts):
            batch, last = _Batch(), {row.recordId: row for row in rows}
            stored = self._find(list(last))
            for row in last.values():
                self._upsert(row, stored.get(row.recordId), batch)
            self._flush(batch)
        for vanished in _batches(self._publication.vanished):
            batch, sequences = _Batch(), dict(vanished)
            for record_id, found in self._find(list(sequences)).items():
                self._vanish(record_id, found, sequences[record_id], batch)
            self._flush(batch)
        self._close_publication()

    def _upsert(self, row: ServingRow, stored: _Stored | None, batch: _Batch) -> None:
        fragments = tuple([row.fragments.get(name, b"") for name in _CLASSES])
        if stored is None:
            self._last += 1
            stored = _Stored(self._last, False, row.sortKey, "", [0] * len(_CLASSES), ())
            # Core always: it carries the identity, and whoever reads anything reads it.
            touched = BITS[Disclosure.CORE] | _bits(bool(fragment) for fragment in fragments)
        elif not stored.alive:
            touched = EVERYTHING  # takes the place of its own tombstone
        else:
            touched = _bits(map(ne, stored.fragments, fragments))
        self._growth += not stored.alive
        self._move(row.recordId, stored, touched, batch)
        postings = _postings(row)
        self._file(row, stored, postings, batch)
        batch.fragments.append((stored.number, *fragments))
        identity = (stored.number, self._space, row.recordId, self._id)
        version = (row.sortKey, 1, row.changeSeq, *stored.places)
        filters = (*_filters(row), postings, fold_text(row.searchText))
        batch.records.append((*identity, *version, *filters))

    def _vanish(self, record_id: str, stored: _Stored, sequence: int, batch: _Batch) -> None:
        if not stored.alive:
            return
        self._growth -= 1
        self._move(record_id, stored, EVERYTHING, batch)
        batch.unposted += self._posted(record_id, stored.sort_key, stored.postings)
        batch.gone.append((stored.number,))
        identity = (stored.number, self._space, record_id, self._id)
        version = (stored.sort_key, 0, sequence, *stored.places)
        batch.records.append((*identity, *version, None, None, None, "", ""))

    def _find(self, record_ids: list[str]) -> dict[str, _Stored]:
        """Return what the store has of these records: one statement for a whole batch."""
        rows = self._connection.execute(
            f"{_FIND} ({', '.join('?' * len(record_ids))})", (self._space, *record_ids)
        )
        places, fragments = slice(5, 5 + len(_CLASSES)), slice(5 + len(_CLASSES), None)
        return {
            row[0]: _Stored(row[1], bool(row[2]), row[3], row[4], list(row[places]), row[fragments])
            for row in rows
        }

    def _move(self, record_id: str, stored: _Stored, touched: int, batch: _Batch) -> None:
        """Move the touched classes to this publication, and out of where they stood."""
        if not touched:
            return
        self._touched |= touched
        batch.changes.append((self._space, self._id, record_id, stored.number, touched))
        left = set()
        for index, bit in enumerate(BITS.values()):
            if bit & touched:
                left.add(stored.places[index])
                stored.places[index] = self._id
        batch.left += [(touched, self._space, place, record_id) for place in left - {0, self._id}]

    def _file(self, row: ServingRow, stored: _Stored, wanted: str, batch: _Batch) -> None:
        """File the record under its status and classification symbols."""
        if (wanted, row.sortKey) != (stored.postings, stored.sort_key):
            batch.unposted += self._posted(row.recordId, stored.sort_key, stored.postings)
            batch.postings += [
                (*key, stored.number) for key in self._posted(row.recordId, row.sortKey, wanted)
            ]

    def _posted(self, record_id: str, sort_key: str, postings: str) -> list[tuple[object, ...]]:
        return [
            (self._space, *posting.split(" ", 1), sort_key, record_id)
            for posting in postings.split("\n")
            if posting
        ]

    def _flush(self, batch: _Batch) -> None:
        run = self._connection.executemany
        run(
            "DELETE FROM posting WHERE space = ? AND scheme = ? AND symbol = ? "
            "AND sort_key = ? AND record_id = ?",
            batch.unposted,
        )
        run(_PUT_RECORD, batch.records)
        run(_PUT_FRAGMENT, batch.fragments)
        run("DELETE FROM fragment WHERE id = ?", batch.gone)
        run("INSERT OR REPLACE INTO posting VALUES (?, ?, ?, ?, ?, ?)", batch.postings)
        run(
            "UPDATE change SET touched = touched & ~? "
            "WHERE space = ? AND publication = ? AND record_id = ?",
            batch.left,
        )
        run(
            "DELETE FROM change "
            "WHERE space = ? AND publication = ? AND record_id = ? AND touched = 0",
            [left[1:] for left in batch.left],
        )
        run(_PUT_CHANGE, batch.changes)

    def _find_space(self) -> int:
        where = (self._publication.office, str(self._publication.right))
        self._connection.execute(
            "INSERT INTO space (office, ip_right) VALUES (?, ?) ON CONFLICT DO NOTHING", where
        )
        (space,) = self._connection.execute(
            "SELECT id FROM space WHERE office = ? AND ip_right = ?", where
        ).fetchone()
        return int(space)

    def _open_publication(self) -> int:
        new = self._publication
        cursor = self._connection.execute(
            "INSERT INTO publication (delivery_id, space, at, cause) VALUES (?, ?, ?, ?)",
            (new.deliveryId, self._space, new.at.isoformat(), new.cause),
        )
        return int(cursor.lastrowid or 0)

    def _close_publication(self) -> None:
        counts = ", ".join(COUNTS)
        before = self._connection.execute(
            f"SELECT {counts} FROM publication WHERE space = ? AND id < ? ORDER BY id DESC LIMIT 1",
            (self._space, self._id),
        ).fetchone() or (0,) * len(COUNTS)
        after = [
            count + bool(bit & self._touched)
            for count, bit in zip(before, BITS.values(), strict=True)
        ]
        self._connection.execute(
            f"UPDATE publication SET ({counts}) = ({', '.join('?' * len(COUNTS))}) WHERE id = ?",
            (*after, self._id),
        )
        self._connection.execute(
            "UPDATE space SET records = records + ? WHERE id = ?", (self._growth, self._space)
        )


def _bits(flags: Iterable[bool]) -> int:
    return sum(bit for bit, flag in zip(BITS.values(), flags, strict=True) if flag)


def _filters(row: ServingRow) -> tuple[str | None, ...]:
    return (
        fold_number(row.applicationNumber) if row.applicationNumber else None,
        row.applicationDate.isoformat() if row.applicationDate else None,
        fold_number(row.registrationNumber) if row.registrationNumber else None,
    )


def _postings(row: ServingRow) -> str:
    """Return what the record is filed under: one ``scheme symbol`` per line, sorted."""
    lines = {f"{scheme} {fold_symbol(scheme, symbol)}" for scheme, symbol in row.classes if symbol}
    if row.status:
        lines.add(f"status {fold_number(row.status)}")
    return "\n".join(sorted(lines))


def _batches(items: Iterable[_Thing]) -> Iterator[list[_Thing]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
