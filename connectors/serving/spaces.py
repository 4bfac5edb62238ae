"""Views of an office's right as spaces of their own: some records only, or without free text.

A view has its own records, postings, publications and feed, so whatever is read of it tells
nothing of records outside it: not their number, not their place, not that they exist. Records
that leave it are deleted there, records that enter it are inserted there. Fragments are those
of the whole, unless the view is without free text.
"""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from connectors.serving.beginnings import begin_view, note_beginning, removed_view
from connectors.serving.filing import Numbers, SpaceWriter
from connectors.serving.preparing import facts_of
from connectors.serving.rows import EVERYTHING, Batch, Ready, Space, key_of, read_view
from connectors.serving.schema import COUNTS, FACTS, NUMBER_BITS, PLACES
from connectors.serving.texts import FreeTextRemover, free_text_remover
from connectors.serving.writing import BATCH, find_space, open_publication
from ipregister.errors import StoreError
from ipregister.model import Disclosure, Right
from ipregister.row_rules import RowRule

_FILED = ("application_number", "registration_number", *FACTS, "postings", "search_text")
"""Columns a view takes over from the whole, in the order of ``filing.Entry.filed``."""

_FACTS = ", ".join(f"r.{name}" for name in FACTS)


def locate(connection: sqlite3.Connection, space: Space, view: str) -> int | None:
    """Return the number of a view's space, or nothing when it is not prepared.

    0 is a space without records: of a right nothing was ever published of.
    """
    where = (space[0], str(space[1]))
    query = "SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = ?"
    if found := connection.execute(query, (*where, key_of(view))).fetchone():
        return int(found[0])
    if view and connection.execute(query, (*where, b"")).fetchone():
        return None
    return 0


def located(connection: sqlite3.Connection, space: Space, view: str) -> int:
    """Return the number of a view's space, 0 when nothing was published there yet.

    Raises:
        StoreError: the view is not prepared; the store was rebuilt and its views were not.
    """
    number = locate(connection, space, view)
    if number is None:
        raise StoreError(f"a view of {space[1]} of {space[0]} is not prepared yet")
    return number


def prepare(connection: sqlite3.Connection, space: Space, view: str) -> None:
    """Make a view of a right, complete, in one transaction; if it is there, keep it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        whole = find_space(connection, *space)
        where = (space[0], str(space[1]), key_of(view))
        found = connection.execute(
            "SELECT id FROM space WHERE office = ? AND ip_right = ? AND key = ?", where
        ).fetchone()
        if found:
            connection.execute("UPDATE space SET idle_since = NULL WHERE id = ?", found)
        else:
            made = connection.execute(
                "INSERT INTO space (office, ip_right, key, view) VALUES (?, ?, ?, ?)",
                (*where, view),
            )
            number = int(made.lastrowid or 0)
            fill(connection, whole, number, space[1], view)
            begin_view(connection, number, removed_view(*where))
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def fill(
    connection: sqlite3.Connection,
    whole: int,
    space: int,
    right: Right,
    view: str,
    *,
    only: Sequence[str] = (),
) -> None:
    """Put into a new space what a view has of the whole, as one publication.

    The whole is read from the file, also where the connection has tables of its own beside
    it. ``only`` are the records to put there, all of them when it is empty.
    """
    rule, free_text = read_view(view)
    include(connection, rule)
    # Stands for a delivery in the first publication of a view; never twice the same.
    name = f"view:{key_of(view).hex()}:{whole}:{space}"
    publication = open_publication(connection, space, name, 0, "source")
    chosen = f"r.space = ? AND r.alive = 1 AND included({_FACTS})"
    if only:
        chosen += f" AND r.record_id IN ({', '.join('?' * len(only))})"
    if free_text:
        _borrow(connection, space, publication, chosen, (whole, *only))
    else:
        writer = SpaceWriter(connection, space, publication, Numbers(connection))
        _copy_without_free_text(connection, writer, right, chosen, (whole, *only))


def include(connection: sqlite3.Connection, rule: RowRule | None, name: str = "included") -> None:
    """Let statements of this connection ask ``included(facts …)`` of a rule."""

    def included(*facts: str | int | None) -> bool:
        return rule is None or rule.includes(facts_of(facts))

    connection.create_function(name, len(FACTS), included, deterministic=True)


def forget_unused(
    connection: sqlite3.Connection, used: Collection[tuple[Space, str]], at: int, keep: timedelta
) -> int:
    """Remove views nobody uses, once cursors had the time ``keep`` to leave them.

    Args:
        connection: a writer's.
        used: views that authorizations use.
        at: now, in microseconds since 1970.
        keep: how long an unused view stays.

    Returns:
        How many were removed.
    """
    names = {(office, str(right), key_of(view)) for (office, right), view in used}
    removed = 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        for space, *name, view, since in connection.execute(
            "SELECT id, office, ip_right, key, view, idle_since FROM space WHERE view != ''"
        ).fetchall():
            if tuple(name) in names:
                since = None
            elif since is None:
                since = at
            elif at - since > keep / timedelta(microseconds=1):
                _remove(connection, space, view, removed_view(*name))
                removed += 1
            connection.execute("UPDATE space SET idle_since = ? WHERE id = ?", (since, space))
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return removed


def _borrow(
    connection: sqlite3.Connection,
    space: int,
    publication: int,
    chosen: str,
    values: Sequence[str | int],
) -> None:
    """Copy the narrow rows; every class of every record was touched by this publication."""
    number, columns = space << NUMBER_BITS, ", ".join(_FILED)
    whole = values[0]
    connection.execute(
        "INSERT INTO record (id, space, record_id, sort_key, alive, change_seq, born, "
        f"{', '.join(PLACES)}, {columns}) "
        f"SELECT {number} | id, ?, record_id, sort_key, 1, change_seq{', ?' * (1 + len(PLACES))}, "
        f"{columns} FROM main.record r WHERE {chosen}",
        (space, *(publication,) * (1 + len(PLACES)), *values),
    )
    connection.execute(
        "INSERT INTO posting SELECT ?, p.scheme, p.symbol, p.sort_key, p.record_id, r.id "
        f"FROM main.posting p JOIN record r ON r.id = ({number} | p.id) WHERE p.space = ?",
        (space, whole),
    )
    connection.execute(
        "INSERT INTO change SELECT space, born, record_id, id, 1, ?, 0 FROM record WHERE space = ?",
        (EVERYTHING, space),
    )
    (records,) = connection.execute(
        "SELECT count(*) FROM record WHERE space = ?", (space,)
    ).fetchone()
    connection.execute("UPDATE space SET records = ? WHERE id = ?", (records, space))
    counts = ", ".join(f"{name} = ?" for name in COUNTS)
    connection.execute(
        f"UPDATE publication SET {counts} WHERE id = ?",
        (*(int(records > 0),) * len(COUNTS), publication),
    )


def _copy_without_free_text(
    connection: sqlite3.Connection,
    writer: SpaceWriter,
    right: Right,
    chosen: str,
    values: Sequence[str | int],
) -> None:
    remover = free_text_remover(right)
    rows = connection.execute(
        f"SELECT r.record_id, r.sort_key, r.change_seq, {', '.join('r.' + n for n in _FILED)}, "
        f"{', '.join('f.' + name for name in Disclosure)} "
        "FROM main.record r JOIN main.fragment f ON f.id = r.id "
        f"WHERE {chosen}",
        values,
    )
    while batch := rows.fetchmany(BATCH):
        writer.put_batch(_without_free_text(remover, batch))
    writer.close()


def _without_free_text(remover: FreeTextRemover, rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Return rows of a whole space as they come into a view that has no free text."""
    words = 2 + len(_FILED)  # nobody finds a record by what it must not read
    records = [(place, *row[:words], "") for place, row in enumerate(rows)]
    postings = sorted(
        (*posting.split(" ", 1), row[1], row[0], place)
        for place, row in enumerate(rows)
        for posting in row[words - 1].split("\n")
        if posting
    )
    columns = list(zip(*rows, strict=True))[words + 1 :]
    return Batch(Ready(records, postings), remover.strip_columns(columns))


def _remove(connection: sqlite3.Connection, space: int, view: str, name: str) -> None:
    """Remove a view; how far it has counted is noted under its name."""
    if not read_view(view)[1]:  # it has fragments of its own
        connection.execute(
            "DELETE FROM fragment WHERE id IN (SELECT id FROM record WHERE space = ?)", (space,)
        )
    latest = ", ".join(f"max({name})" for name in COUNTS)
    counts = connection.execute(
        f"SELECT {latest} FROM publication WHERE space = ?", (space,)
    ).fetchone()
    note_beginning(connection, name, counts)
    for table in ("posting", "change", "life", "record", "publication"):
        connection.execute(f"DELETE FROM {table} WHERE space = ?", (space,))
    connection.execute("DELETE FROM space WHERE id = ?", (space,))
