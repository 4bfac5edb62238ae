"""Prepares what waits: a process of its own, one at a time, at low priority.

    python -m connectors.exports.builder SERVING_STORE EXPORTS RECEIPTS

Started by whoever puts a task into an empty queue; it ends when nothing waits any more. If it
is killed, the task is still in the queue and the next who asks about it starts another one.
Answers to requests do not wait for it: it is neither in their process nor at their priority.
"""

import itertools
import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

import structlog

from connectors.exports.compression import Compressor
from connectors.exports.formats import Format, columns_of, encoder
from connectors.exports.mapped import write_columns
from connectors.exports.store import ExportStore
from connectors.exports.tasks import Snapshot, Task
from connectors.faults import reach
from connectors.receipts.snapshots import keep_contents
from connectors.serving.places import find_place
from connectors.serving.reading import count
from connectors.serving.rows import classes_of
from connectors.serving.schema import connect
from connectors.serving.streaming import Reading
from ipregister.errors import StoreError

NICENESS = 10

NOTED = 20
"""Pieces of 500 records between two looks at whether the file is still wanted: about 0.2 s."""


class Unwanted(Exception):
    """Whoever asked for the file being prepared has cancelled that."""


def drain(serving: Path, exports: ExportStore, receipts: Path) -> int:
    """Prepare everything that waits; return how many files were made.

    Looks again after it gave up its place: who came meanwhile found it taken and went away.
    """
    made = 0
    while True:
        with exports.builder() as mine:
            if not mine:
                return made
            while (task := exports.next()) is not None:
                made += _attempt(serving, exports, receipts, task)
            exports.prune(datetime.now(UTC))
            reach("export.pruned")
        if not exports.has_waiting():
            return made


def _attempt(serving: Path, exports: ExportStore, receipts: Path, task: Task) -> bool:
    try:
        build(serving, exports, receipts, task)
    except Unwanted:
        exports.remove_unfinished()
        return False
    except Exception as exc:  # whatever it is, the next task is not to blame for it
        structlog.get_logger().error("export_failed", key=task.key, kind=type(exc).__name__)
        exports.remove_unfinished()  # first: it may be what has filled the disk
        exports.give_up(task, type(exc).__name__)
        return False
    return True


def build(serving: Path, exports: ExportStore, receipts: Path, task: Task) -> Snapshot:
    """Prepare one file; what it holds is read in one state of the store.

    Which records are in it is kept with the receipts before anybody can read the file.
    """
    path, sizes = exports.work_file(), dict[str, int]()
    with closing(connect(serving, writer=False)) as connection:
        connection.execute("BEGIN")  # the place and the records are of one state
        _check(connection, task)
        # What is there now, which may be newer than what was asked for: never older.
        place = find_place(connection, task.place.space, task.place.mask)
        if task.kind is Format.ARROW:
            records, sizes = write_columns(connection, place.space, path)
        else:
            reading = Reading(connection, place.space, place.mask, task.filters)
            records = _write(task, reading, path, exports, count(connection, place.space))
    reach("export.written")
    with path.open("rb") as made:
        digest = file_digest(made, "sha256").hexdigest()
    snapshot = Snapshot(
        *(task.office, task.right, place, task.kind),
        *(digest, path.stat().st_size, len(records), datetime.now(UTC)),
        sizes,
    )
    keep_contents(receipts, snapshot.sha256, records)
    reach("export.noted")
    exports.finish(task, path, snapshot)
    return snapshot


def _write(task: Task, reading: Reading, path: Path, exports: ExportStore, total: int) -> list[str]:
    """Write what a reading gives in the form of the task; return the records' identifiers.

    ``total`` are the records it chooses from: with filters it may be done sooner than told.

    Raises:
        Unwanted: nobody wants the file any more.
    """
    allowed = classes_of(task.place.mask)
    made = encoder(task.kind, task.right, columns_of(task.right, allowed))
    compressor = Compressor("zstd") if task.kind is Format.NDJSON else None
    records: list[str] = []
    with path.open("wb") as sink:
        for number in itertools.count():
            if (piece := reading.read()) is None:
                break
            done = min(99, 100 * len(records) // total)
            if number % NOTED == 0 and not exports.go_on(task, done):
                raise Unwanted
            data = made.encode(piece.bodies)
            sink.write(compressor.compress(data) if compressor else data)
            records += piece.records
        data = made.finish()
        sink.write(compressor.compress(data) + compressor.finish() if compressor else data)
    return records


def _check(connection: sqlite3.Connection, task: Task) -> None:
    """Refuse a task from before the store was rebuilt: numbers of spaces may be others'."""
    found = connection.execute(
        "SELECT office, ip_right, lower(hex(key)) FROM space WHERE id = ?", (task.place.space,)
    ).fetchone()
    if task.place.space and found != (task.office, str(task.right), task.place.view):
        raise StoreError("the serving store was rebuilt since this file was asked for")


def main() -> int:
    """Prepare what waits in the stores named on the command line."""
    serving, exports, receipts = map(Path, sys.argv[1:4])
    os.nice(NICENESS)
    drain(serving, ExportStore(exports), receipts)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
