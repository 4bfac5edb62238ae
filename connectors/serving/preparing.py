"""Makes records ready for the serving store: all of it that needs no look at the store.

What the store makes of it is ``filing``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from connectors.serving.folding import fold_number, fold_symbol, fold_text
from connectors.serving.rows import BITS, Batch, Posting, Ready, Record, ServingRow
from ipregister.row_rules import Facts


class Bare(NamedTuple):
    """One record as it is published, without its fragments.

    ``classes`` are ``scheme:symbol``, days as ISO 8601 writes them.
    """

    recordId: str
    changeSeq: int
    sortKey: str
    applicationNumber: str | None
    applicationDate: str | None
    registrationNumber: str | None
    status: str | None
    registrationDate: str | None
    publicationDate: str | None
    published: bool
    rightKind: str | None
    kind: str | None
    filingRoute: str | None
    classes: Sequence[str | None]
    searchText: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as every space files it; ``filed`` are the columns behind the places."""

    record: str
    sort_key: str
    change: int
    postings: str
    filed: tuple[object, ...]
    fragments: tuple[bytes, ...]


def entries_of(batch: Batch) -> list[Entry]:
    """Return the records of a batch one by one."""
    return [
        Entry(*record[1:4], record[-2], record[4:], fragments)
        for record, fragments in zip(
            batch.ready.records, zip(*batch.fragments, strict=True), strict=True
        )
    ]


def prepare(rows: Iterable[Bare]) -> Ready:
    """Return records as the store takes them; each of them must come once."""
    records, postings = list[Record](), list[Posting]()
    for place, row in enumerate(rows):
        record, change, sort_key, number, filed, registration, status = row[:7]
        registered, published_on, published, right_kind, kind, route, classes, words = row[7:]
        lines = {_line(symbol) for symbol in classes if symbol}
        if status:
            lines.add(_line(f"status:{status}"))
        lines.discard("")
        found_under = sorted(lines)
        for line in found_under:
            scheme, symbol = line.split(" ", 1)
            postings.append((scheme, symbol, sort_key, record, place))
        records.append(
            (
                *(place, record, sort_key, change),
                fold_number(number) if number else None,
                fold_number(registration) if registration else None,
                *(filed, registered, published_on),
                int(published),
                *(right_kind, kind, route),
                "\n".join(found_under),
                fold_text(words),
            )
        )
    # In the order of the table: a symbol's neighbours lie on one page.
    postings.sort()
    return Ready(records, postings)


def batch_of(rows: Iterable[ServingRow]) -> Batch:
    """Return whole records as a batch; of one that comes twice the last counts."""
    each = list({row.recordId: row for row in rows}.values())
    fragments = [[row.fragments.get(name, b"") for row in each] for name in BITS]
    return Batch(prepare(map(_bare, each)), fragments)


def _bare(row: ServingRow) -> Bare:
    return Bare(
        row.recordId,
        row.changeSeq,
        row.sortKey,
        row.applicationNumber,
        _iso(row.applicationDate),
        row.registrationNumber,
        row.status,
        _iso(row.registrationDate),
        _iso(row.publicationDate),
        row.published,
        row.rightKind,
        row.kind,
        row.filingRoute,
        [f"{scheme}:{symbol}" for scheme, symbol in row.classes],
        row.searchText,
    )


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def facts_of(columns: Sequence[object]) -> Facts:
    """Return what row rules look at, from the columns ``schema.FACTS``."""
    days = [date.fromisoformat(str(day)) if day else None for day in columns[:3]]
    kinds = [None if word is None else str(word) for word in columns[4:]]
    return Facts(days[0], days[1], days[2], bool(columns[3]), kinds[0], kinds[1], kinds[2])


@lru_cache(maxsize=65_536)
def _line(entry: str) -> str:
    """Return what a record with this classification symbol or status is filed under."""
    scheme, _, symbol = entry.partition(":")
    return f"{scheme} {fold_symbol(scheme, symbol)}" if symbol else ""
