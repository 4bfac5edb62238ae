"""What is published into the serving store and asked of it. No SQL here."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import msgspec

from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

Cause = Literal["source", "processing"]
"""Why a record changed: the office sent it, or our mapping of what it sent changed. A third
cause, ``authorization``, is never stored: it is the difference between a reader's grants."""

Space = tuple[str, Right]
"""Office code and right: the unit of authorization, of counting and of the feed."""


class ServingRow(msgspec.Struct, frozen=True, gc=False):
    """One record as it will be served; a structure, because a million are made one by one.

    ``sortKey`` is the normalised application number. Which classes an update touches is
    decided by comparing fragments with the stored ones, never by what a caller believes: a
    class named by mistake would show a hidden change to everybody. ``changed`` is therefore
    not read; it is kept for the stores that cannot compare.
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
    classes: tuple[tuple[str, str], ...] = ()
    searchText: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """What one delivery changes for readers; ``vanished`` are (recordId, changeSeq)."""

    deliveryId: str
    office: str
    right: Right
    at: dt.datetime
    upserts: Iterable[ServingRow]
    vanished: Iterable[tuple[str, int]] = ()
    cause: Cause = "source"


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


def mask_of(classes: Iterable[Disclosure]) -> int:
    """Return the bits of a set of classes."""
    mask = 0
    for name in classes:
        mask |= BITS[name]
    return mask


def view_of(grant: Grant) -> str:
    """Return which records a grant opens, in one spelling; empty for all as they are.

    Grants with the same view share a space of the store.
    """
    return "" if grant.rule is None and grant.freeText else _view(grant.rule, grant.freeText)


@lru_cache(maxsize=1024)
def _view(rule: RowRule | None, free_text: bool) -> str:
    said = {"freeText": free_text, "rows": rule.document() if rule else {}}
    return json.dumps(said, sort_keys=True, separators=(",", ":"))
