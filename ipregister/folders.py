"""An office's SFTP folder as it was at the last visit: what lies in it and was not taken.

A file in a wrong place is no delivery, so the exchange history has no line for it; this is how
its office hears of it. Which files are taken is ``connectors/collection``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ipregister.instants import instant
from ipregister.report_words import count_of, moment, sentence

SHOWN = 100
"""Files named: who put each of 100,000 records into a wrong place needs no list of them."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """One file that is in no delivery: its path in the office's folder, and why.

    ``waits``: a later visit takes it, or may. ``since`` is when it was first seen as it is
    now, which is not known of links and folders.
    """

    path: str
    reason: str
    waits: bool
    since: datetime | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        since = instant(self.since) if self.since else None
        return {"path": self.path, "reason": self.reason, "waits": self.waits, "since": since}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``document`` wrote."""
        since = document["since"]
        return cls(**{**document, "since": since and datetime.fromisoformat(since)})


@dataclass(frozen=True, slots=True)
class FolderVisit:
    """What the last visit that listed an office's folder left there.

    ``visitedAt`` is when that was. ``total`` counts all files, ``items`` are the newest
    ``SHOWN``, those that nothing will take first.
    """

    office: str
    visitedAt: datetime
    items: tuple[NotTaken, ...] = ()
    total: int = 0

    @classmethod
    def of(cls, office: str, at: datetime, found: Iterable[NotTaken]) -> Self:
        """Return the visit of one instant with the files that need most to be told."""
        ordered = sorted(found, key=_most_telling_first)
        return cls(office, at, tuple(ordered[:SHOWN]), len(ordered))

    @property
    def in_words(self) -> str:
        """Return what an officer reads first: when we looked, and whether something lies there."""
        looked = f"We looked into your SFTP folder on {moment(self.visitedAt)}"
        if not self.total:
            return f"{looked}; nothing in it is left over."
        are = "is" if self.total == 1 else "are"
        return f"{looked}; {count_of(self.total, 'file')} in it {are} in no delivery."

    def lines(self) -> Iterable[str]:
        """Yield each file with its reason, for a terminal."""
        for item in self.items:
            what = "not taken yet" if item.waits else "not taken"
            since = f", there since {moment(item.since)}" if item.since else ""
            yield f"{item.path}: {what}{since}. {sentence(item.reason)}"
        if more := self.total - len(self.items):
            yield f"and {count_of(more, 'file')} more"

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "office": self.office,
            "visitedAt": instant(self.visitedAt),
            "total": self.total,
            "items": [item.document() for item in self.items],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what ``document`` wrote."""
        items = tuple(map(NotTaken.from_document, document["items"]))
        at = datetime.fromisoformat(document["visitedAt"])
        return cls(document["office"], at, items, document["total"])


def _most_telling_first(item: NotTaken) -> tuple[bool, float, str]:
    """Sort what waits last, newest first: an office that asks has just uploaded."""
    return item.waits, -item.since.timestamp() if item.since else 0.0, item.path
