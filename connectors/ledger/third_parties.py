"""Names of third parties: one spelling each, found again in any case."""

import unicodedata
from datetime import datetime

from sqlalchemy import Connection, insert, select

from connectors.ledger.schema import third_parties
from ipregister.errors import InvalidRequest

MAX_NAME = 200


def clean_name(name: str) -> str:
    """Return a name as people read it: NFC, single spaces.

    Raises:
        InvalidRequest: nothing is left, it is too long, or it has control characters.
    """
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not (0 < len(clean) <= MAX_NAME) or not clean.isprintable():
        raise InvalidRequest(f"a name has 1 to {MAX_NAME} printable characters")
    return clean


def third_party_name(connection: Connection, name: str) -> str:
    """Return a third party's name as it was added; upper and lower case are the same.

    Raises:
        InvalidRequest: there is no such third party.
    """
    c = third_parties.c
    known: str | None = connection.scalar(select(c.name).where(c.folded == _folded(name)))
    if known is None:
        raise InvalidRequest(f"there is no third party {clean_name(name)!r}: add it first")
    return known


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", clean_name(name)).casefold()


def ensure_third_party(connection: Connection, name: str, *, at: datetime, by: str) -> str:
    """Return a third party's name, adding it when it is new."""
    c = third_parties.c
    known: str | None = connection.scalar(select(c.name).where(c.folded == _folded(name)))
    if known is not None:
        return known
    clean = clean_name(name)
    row = {"name": clean, "folded": _folded(name), "added_at": at, "added_by": by}
    connection.execute(insert(third_parties), row)
    return clean
