"""What a prepared file is of, and its name: equal tasks are one file, whoever asks for it.

The name says nothing: it is a hash. It depends on what the reader can see and on nothing
else, so two clients with the same rights share a file, and a change none of them may see
makes no new one. Beside it stand the small files that tell how far a task is.
"""

from datetime import datetime
from hashlib import blake2b
from typing import Literal

import msgspec

from connectors.exports.formats import Format
from connectors.serving.places import Place
from connectors.serving.rows import Filters
from ipregister.model import Right

FORMAT_VERSION = 1
"""Part of every name; raise it when an encoder writes other bytes for the same records."""

KEY_BYTES = 20

PREPARED = (Format.PARQUET, Format.NDJSON, Format.CSV, Format.XML)
"""Forms in which files are prepared."""

SUFFIXES = {
    Format.PARQUET: "parquet",
    Format.NDJSON: "ndjson.zst",
    Format.CSV: "csv",
    Format.XML: "xml",
    Format.ARROW: "arrow",
}

FILE_TYPES = {
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.NDJSON: "application/zstd",
    Format.CSV: "text/csv",
    Format.XML: "application/xml",
}
"""Media types of the files themselves: NDJSON is stored compressed."""


class Task(msgspec.Struct, frozen=True):
    """One file to prepare: all records a reader sees at a place that fit the filters.

    Of kind ``ARROW`` it is the hub's own: the fragments of a space for ``mapped``.
    """

    office: str
    right: Right
    place: Place
    kind: Format
    filters: Filters = msgspec.field(default_factory=Filters)

    @property
    def key(self) -> str:
        """Return the name of the file."""
        content = msgspec.json.encode((FORMAT_VERSION, self), order="sorted")
        return blake2b(content, digest_size=KEY_BYTES).hexdigest()


class Snapshot(msgspec.Struct, frozen=True):
    """A file that is ready, as its manifest tells; ``place`` is where it was read.

    ``sizes`` has the bytes of each class (mapped only).
    """

    office: str
    right: Right
    place: Place
    kind: Format
    sha256: str
    bytes: int
    records: int
    at: datetime
    sizes: dict[str, int] = {}

    @property
    def file(self) -> str:
        """Return the name of the file in its directory."""
        return f"{self.sha256}.{SUFFIXES[self.kind]}"


class Waiting(msgspec.Struct, frozen=True):
    """A task in the queue, how often it was begun, and how much of it is done (percent).

    ``isStale``: since it was begun, some of what it reads was taken back.
    """

    task: Task
    attempts: int = 0
    progress: int = 0
    isStale: bool = False


class Wish(msgspec.Struct, frozen=True):
    """What somebody wanted, since when, and when it was given up again."""

    at: datetime
    cancelledAt: datetime | None = None


class Failed(msgspec.Struct, frozen=True):
    """A task nobody could finish, and the kind of error; never its text."""

    kind: str


State = Literal["RECEIVED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED"]
