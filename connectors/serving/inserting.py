"""Inserts records that a space has nothing of yet: the most of every full extraction.

Nothing is compared and nothing moves, so their rows go to SQLite as they were made ready; what
all of a batch share (space, publication, first number) stands in the statement. Records a space
may know are ``filing``.
"""

import sqlite3
from collections.abc import Sequence
from itertools import count

from connectors.serving.rows import BITS, CORE_BIT, Batch
from connectors.serving.schema import FACTS, PLACES

_BEHIND = (*("application_number", "registration_number"), *FACTS, *("postings", "search_text"))
_COLUMNS = (
    *("id", "space", "record_id", "sort_key", "alive", "change_seq", "born"),
    *(*PLACES, *_BEHIND),
)
_VALUES = (
    *("{first} + ?1", "{space}", "?2", "?3", "1", "?4", "{publication}"),
    *(f"{{publication}} * (?{5 + len(_BEHIND)} & {bit} <> 0)" for bit in BITS.values()),
    *(f"?{5 + place}" for place in range(len(_BEHIND))),
)
"""The last parameter are the classes a record has; it stands nowhere with the others."""
_RECORD = f"INSERT INTO record ({', '.join(_COLUMNS)}) VALUES ({', '.join(_VALUES)})"
_FRAGMENT = f"INSERT INTO fragment VALUES (?{', ?' * len(BITS)})"
_POSTING = "INSERT OR REPLACE INTO posting VALUES ({space}, ?, ?, ?, ?, {first} + ?)"
_CHANGE = "INSERT INTO change VALUES ({space}, {publication}, ?, ?, 1, ?, 0)"


def insert_new(
    connection: sqlite3.Connection, space: int, publication: int, first: int, batch: Batch
) -> list[int]:
    """Insert records with their fragments, postings and places in the feed.

    Args:
        connection: in a transaction.
        space: number of the space, which has none of them.
        publication: number of the publication that brings them.
        first: number of the first one; the others follow.
        batch: the records.

    Returns:
        Bits of the classes each record has.
    """
    shared = {"first": first, "space": space, "publication": publication}
    records, present = batch.ready.records, classes_present(batch.fragments)
    names = [record[1] for record in records]
    run = connection.executemany
    with_classes = [(*record, bits) for record, bits in zip(records, present, strict=True)]
    run(_RECORD.format_map(shared), with_classes)
    run(_FRAGMENT, zip(count(first), *batch.fragments, strict=False))
    run(_POSTING.format_map(shared), batch.ready.postings)
    run(_CHANGE.format_map(shared), sorted(zip(names, count(first), present, strict=False)))
    return present


def classes_present(fragments: Sequence[Sequence[bytes]]) -> list[int]:
    """Return bits of the classes each record has something of, from columns of fragments."""
    present = [CORE_BIT] * len(fragments[0])
    for bit, column in zip(BITS.values(), fragments, strict=True):
        present = [bits | bit if some else bits for bits, some in zip(present, column, strict=True)]
    return present
