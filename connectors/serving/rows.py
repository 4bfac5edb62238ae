"""What is published into the serving store and asked of it. No SQL here."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule, read_row_rule

Cause = Literal["source", "processing"]
"""Why a record changed: the office sent it, or our mapping of what it sent changed. A third
cause, ``authorization``, is never stored: it is the difference between a reader's grants."""

Space = tuple[str, Right]
"""Office code and right: the unit of authorization, of counting and of the feed."""

KEY_BYTES = 12
"""Two views of one office and right never share a name: 96 bits."""


class ServingRow(msgspec.Struct, frozen=True, gc=False):
    """One record as it will be served; a structure, because a million are made one by one.

    ``sortKey`` is the normalised application number. Which classes an update touches is
    decided by comparing fragments with the stored ones, never by what a caller believes: a
    class named by mistake would show a hidden change to everybody. ``changed`` is therefore
    not read; it is kept for the stores that cannot compare. What row rules look at is as in
    ``row_rules.Facts``.
    """

    recordId: str
    changeSeq: int
    sortKey: str
    fragments: Mapping[Disclosure, bytes]
    changed: frozenset[Disclosure] = frozenset()
    applicationNumber: str | None = None
    applicationDate: dt.date | None = None
    registrationNumber: str | None = None
    status: str | None = None
    registrationDate: dt.date | None = None
    publicationDate: dt.date | None = None
    published: bool = False
    rightKind: str | None = None
    kind: str | None = None
    filingRoute: str | None = None
    classes: tuple[tuple[str, str], ...] = ()
    searchText: str = ""


Record = tuple[int, str, str, int, *tuple[object, ...], str, str]
"""Place in its batch, ``recordId``, ``sortKey``, ``changeSeq``, and what ``record`` has behind
``schema.PLACES``: the last two are postings and the words of a search."""

Posting = tuple[str, str, str, str, int]
"""Scheme, symbol, ``sortKey``, ``recordId``, and the record's place in its batch."""


class Ready(NamedTuple):
    """Records as the tables take them, but for what only the store knows.

    Plain tuples, which go from process to process and to SQLite as they are; ``postings`` are
    in the order of their table.
    """

    records: list[Record]
    postings: list[Posting]


class Batch(NamedTuple):
    """Some records, each of them once, and their fragments: one column per class."""

    ready: Ready
    fragments: Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Publication:
    """What one delivery changes for readers, and when; ``vanished`` are (recordId, changeSeq).

    Records come one by one (``upserts``) or as batches made ready elsewhere, which are first.
    """

    deliveryId: str
    office: str
    right: Right
    at: dt.datetime
    upserts: Iterable[ServingRow]
    vanished: Iterable[tuple[str, int]] = ()
    cause: Cause = "source"
    ready: Iterable[Batch] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """What a reader asks for; every condition must hold, ``None`` and empty ask nothing.

    ``symbols`` are classification symbols by scheme: any of one scheme's will do. ``q`` is a
    part of the mark or title.
    """

    applicationNumber: str | None = None
    applicationDateFrom: dt.date | None = None
    applicationDateTo: dt.date | None = None
    registrationNumber: str | None = None
    status: tuple[str, ...] = ()
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a page, with its place in the order."""

    sortKey: str
    recordId: str
    body: bytes


BITS: dict[Disclosure, int] = {name: 1 << place for place, name in enumerate(Disclosure)}
"""One bit per class, in fragment order; part of stored rows and of cursors, so append only."""

EVERYTHING = sum(BITS.values())

CORE_BIT = BITS[Disclosure.CORE]
"""Every record has it: it carries the identity, and whoever reads anything reads it."""

FREE_TEXT = 1 << 30
"""Stands beside the bits of a grant's classes: free text may be seen, too."""


@cache
def mask_of(classes: frozenset[Disclosure]) -> int:
    """Return the bits of a set of classes."""
    mask = 0
    for name in classes:
        mask |= BITS[name]
    return mask


def classes_of(mask: int) -> frozenset[Disclosure]:
    """Return the classes that some bits stand for."""
    return frozenset(name for name, bit in BITS.items() if bit & mask)


def view_of(grant: Grant) -> str:
    """Return which records a grant opens, in one spelling; empty for all as they are.

    Grants with the same view share a space of the store.
    """
    return _view(grant.rule, grant.freeText) if grant.has_view else ""


@lru_cache(maxsize=1024)
def _view(rule: RowRule | None, free_text: bool) -> str:
    said = {"freeText": free_text, "rows": rule.document() if rule else {}}
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=1024)
def read_view(view: str) -> tuple[RowRule | None, bool]:
    """Return the rule of a view, and whether it has free text."""
    if not view:
        return None, True
    said = json.loads(view)
    return read_row_rule(said["rows"]), said["freeText"]


@lru_cache(maxsize=1024)
def key_of(view: str) -> bytes:
    """Return a short name of a view, for cursors; empty for all as they are."""
    return blake2b(view.encode(), digest_size=KEY_BYTES).digest() if view else b""
