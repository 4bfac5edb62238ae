"""Prepares what waits: a process of its own, one at a time, at low priority.

    python -m connectors.exports.builder SERVING_STORE EXPORTS

Started by whoever puts a task into an empty queue; it ends when nothing waits any more. If it
is killed, the task is still in the queue and the next who asks about it starts another one.
Answers to requests do not wait for it: it is neither in their process nor at their priority.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import structlog

from connectors.exports.columnar import bounds
from connectors.exports.compression import Compressor
from connectors.exports.formats import Format, columns_of, encoder
from connectors.exports.store import ExportStore
from connectors.exports.tasks import Snapshot, Task
from connectors.serving.places import find_place
from connectors.serving.rows import BITS
from connectors.serving.schema import connect
from connectors.serving.streaming import Reading

NICENESS = 10


def drain(serving: Path, exports: ExportStore) -> int:
    """Prepare everything that waits; return how many files were made.

    Looks again after it gave up its place: who came meanwhile found it taken and went away.
    """
    made = 0
    while True:
        with exports.builder() as mine:
            if not mine:
                return made
            while (task := exports.next()) is not None:
                made += _attempt(serving, exports, task)
            exports.prune(datetime.now(UTC))
        if not exports.has_waiting():
            return made


def _attempt(serving: Path, exports: ExportStore, task: Task) -> bool:
    try:
        build(serving, exports, task)
    except Exception as exc:  # whatever it is, the next task is not to blame for it
        structlog.get_logger().error("export_failed", key=task.key, kind=type(exc).__name__)
        exports.give_up(task, type(exc).__name__)
        return False
    return True


def build(serving: Path, exports: ExportStore, task: Task) -> Snapshot:
    """Prepare one file; what it holds is read in one state of the store."""
    path, digest, size, records = exports.work_file(), sha256(), 0, 0
    with closing(connect(serving, writer=False)) as connection, path.open("wb") as sink:
        connection.execute("BEGIN")  # the place and the records are of one state
        # What is there now, which may be newer than what was asked for: never older.
        place = find_place(connection, task.place.space, task.place.mask)
        reading = Reading(connection, place.space, place.mask, task.filters)
        for data, count in _encoded(task, reading):
            digest.update(data)
            size += sink.write(data)
            records += count
    snapshot = Snapshot(
        *(task.office, task.right, place, task.kind),
        *(digest.hexdigest(), size, records, datetime.now(UTC)),
        bounds(path) if task.kind is Format.PARQUET else {},
    )
    exports.finish(task, path, snapshot)
    return snapshot


def _encoded(task: Task, reading: Reading) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes of the file, with how many records went into them."""
    allowed = {name for name, bit in BITS.items() if bit & task.place.mask}
    made = encoder(task.kind, task.right, columns_of(task.right, allowed))
    compressor = Compressor("zstd") if task.kind is Format.NDJSON else None
    while (piece := reading.read()) is not None:
        data = made.encode(piece.bodies)
        yield compressor.compress(data) if compressor else data, len(piece.bodies)
    data = made.finish()
    yield compressor.compress(data) + compressor.finish() if compressor else data, 0


def main() -> int:
    """Prepare what waits in the stores named on the command line."""
    serving, exports = map(Path, sys.argv[1:3])
    os.nice(NICENESS)
    drain(serving, ExportStore(exports))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
