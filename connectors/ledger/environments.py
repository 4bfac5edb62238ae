"""Acceptance and Production kept apart: a ledger and a home belong to one of them for good.

Whoever restores a backup of Production to try something on Acceptance, or points one hub at
the other's database, is refused when the ledger is opened: every client, key and token in it
is good in the other environment alone. So is who opens a home of one with a ledger of the
other, which would share the register of one by decisions made for the other. A restore asks
before it makes anything.
"""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import exists, insert, select

from connectors.ledger.engine import Database
from connectors.ledger.schema import audit, deliveries, hub
from ipregister.errors import ConfigurationError, LedgerConflict

PRODUCTION = "production"


def claim(database: Database, environment: str, *, begun: bool = False) -> None:
    """Make the ledger this environment's, if it is nobody's yet.

    Args:
        database: the ledger.
        environment: which one this is.
        begun: the hub has worked, so its ledger cannot be a new one.

    Raises:
        ConfigurationError: it belongs to another one, or is new and must not be.
    """
    owner = _owner(database)
    if owner is None:
        if begun and _is_empty(database):
            raise ConfigurationError(
                "the ledger that IPHUB_LEDGER_URL names is empty, and this hub has worked already: "
                "it would number deliveries and changes anew. Name the ledger it has worked with, "
                "or restore a backup."
            )
        try:
            with database.write() as connection:
                connection.execute(insert(hub), {"only": 1, "environment": environment})
        except LedgerConflict:  # another worker, at the same moment
            pass
        owner = _owner(database)
    _refuse_another(owner, environment)


def claim_home(root: Path, environment: str) -> None:
    """Make a home the environment's of the ledger it was opened with, if it is nobody's yet.

    Raises:
        ConfigurationError: it belongs to another one.
    """
    mark = root / "keys" / "environment"
    if not mark.exists():
        beside = mark.with_name(f".environment.{secrets.token_hex(4)}")
        beside.write_text(f"{environment}\n")
        beside.replace(mark)
    _refuse_another(mark.read_text().strip(), environment, "home")


def check_copy(file: Path, environment: str) -> None:
    """Let the copy of a ledger be used here, if it is this environment's or nobody's yet.

    Raises:
        ConfigurationError: it belongs to another one.
    """
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as copy:
        tables = copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (hub.name,)).fetchone()
        row = copy.execute(f"SELECT environment FROM {hub.name}").fetchone() if tables else None
    if row is not None:
        _refuse_another(row[0], environment)


def _refuse_another(owner: str | None, environment: str, what: str = "ledger") -> None:
    if owner != environment:
        raise ConfigurationError(
            f"this {what} belongs to the {owner} environment and IPHUB_ENVIRONMENT says "
            f"{environment}: clients, keys and tokens of one are never good in the other. Set "
            "IPHUB_ENVIRONMENT, or create a hub of its own: iphub init --home DIR"
        )


def _is_empty(database: Database) -> bool:
    """Tell whether nothing was written yet; the oldest ledgers do not say whose they are."""
    with database.read() as connection:
        found = (connection.scalar(select(exists().select_from(t))) for t in (deliveries, audit))
        return not any(found)


def _owner(database: Database) -> str | None:
    with database.read() as connection:
        owner: str | None = connection.scalar(select(hub.c.environment))
        return owner
