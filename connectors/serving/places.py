"""What a reader can see of one office and right at this moment, as a value to compare.

Two equal places have the same records with the same content: a place names the space, the
classes, and the newest publication that touched one of these classes. A change a reader may
not see leaves its place as it is.
"""

import sqlite3

import msgspec

from connectors.serving.marks import NOWHERE, Counts, restrict
from connectors.serving.rows import BITS
from connectors.serving.schema import COUNTS


class Place(msgspec.Struct, frozen=True):
    """Space and classes of a reader, and the state they are in.

    ``view`` is which records the space holds: its number alone may be another's after the
    store was made anew. ``number`` grows with every publication the reader can see and with no
    other; ``state`` is the publication behind it.
    """

    space: int
    view: str
    mask: int
    number: int
    state: str


def counts_now(connection: sqlite3.Connection, space: int) -> Counts:
    """Return how many publications of a space have touched each class."""
    latest: Counts | None = connection.execute(
        f"SELECT {', '.join(COUNTS)} FROM publication WHERE space = ? "
        "ORDER BY n_core DESC, id DESC LIMIT 1",
        (space,),
    ).fetchone()
    return latest or NOWHERE


def find_place(connection: sqlite3.Connection, space: int, mask: int) -> Place:
    """Return the place of a reader of ``mask`` in ``space`` now."""
    found = connection.execute("SELECT key FROM space WHERE id = ?", (space,)).fetchone()
    view = bytes(found[0]).hex() if found else ""
    counts = restrict(counts_now(connection, space), mask)
    if counts == NOWHERE:
        return Place(space, view, mask, 0, "")
    seen = [
        (name, n) for name, n, bit in zip(COUNTS, counts, BITS.values(), strict=True) if bit & mask
    ]
    (state,) = connection.execute(
        "SELECT delivery_id FROM publication "
        f"WHERE space = ? AND {' AND '.join(f'{name} = ?' for name, _ in seen)} "
        "ORDER BY id LIMIT 1",
        (space, *(count for _, count in seen)),
    ).fetchone()
    return Place(space, view, mask, sum(counts), str(state))
