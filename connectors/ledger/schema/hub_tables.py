"""Tables of the hub as a whole: its audit chain, its counters, the environment it is."""

from sqlalchemy import Column, Index, Integer, String, Table

from connectors.ledger.columns import Count, Document, Words
from connectors.ledger.schema.metadata import METADATA

counters = Table(
    "counters",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Count, nullable=False),
)

# One row: which environment the ledger belongs to, so that a copy of it opens no other.
hub = Table(
    "hub",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("environment", String(16), nullable=False),
)

audit = Table(
    "audit",
    METADATA,
    Column("seq", Count, primary_key=True, autoincrement=False),
    # The chain is hashed over text, so the instant is kept as text.
    Column("at", String(32), nullable=False),
    Column("actor", Words, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Words, nullable=False),
    Column("before", Document),
    Column("after", Document),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "subject"),
)

# One row: the end of the chain. Writers queue at it, and a cut-off tail does not fit it.
audit_head = Table(
    "audit_head",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("seq", Count, nullable=False),
    Column("hash", String(64), nullable=False),
)
