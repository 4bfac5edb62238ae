"""Tables of what offices send: deliveries, uploads on their way, what was seen on their servers."""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from connectors.ledger.columns import Count, Document, Instant, ServerPath, Words
from connectors.ledger.schema.metadata import METADATA

# A content takes effect once: only these states, and a delivery that was reverted, leave room for
# the same content again.
_TAKES_EFFECT = text("state NOT IN ('duplicate', 'rejected', 'withdrawn') AND reverted_at IS NULL")

deliveries = Table(
    "deliveries",
    METADATA,
    Column("delivery_id", String(32), primary_key=True),
    Column("office", String(2), nullable=False),
    Column("right", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("channel", String(8), nullable=False),
    Column("identity", String(64), nullable=False),
    Column("state", String(24), nullable=False),
    Column("reason", Words),
    Column("received_at", Instant, nullable=False),
    Column("received_by", Words, nullable=False),
    Column("office_date", Date),
    Column("office_sequence", Integer),
    Column("receipt", Document),
    Column("findings", Document),
    Column("durations", Document),
    # Why it was held last; kept when it is released, for then it was decided.
    Column("hold", Document),
    Column("held_at", Instant),
    Column("reverted_at", Instant),
    Column("reverted_by", Words),
    Column("reversal", Document),
    Column("leased_by", Words),
    Column("leased_until", Instant),
    Index(None, "office", "right", "state"),
    Index(
        "uq_deliveries_identity",
        "identity",
        unique=True,
        sqlite_where=_TAKES_EFFECT,
        postgresql_where=_TAKES_EFFECT,
    ),
)

delivery_files = Table(
    "delivery_files",
    METADATA,
    Column("delivery_id", ForeignKey("deliveries.delivery_id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Words, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Count, nullable=False),
    Index(None, "sha256"),
)

delivery_events = Table(
    "delivery_events",
    METADATA,
    Column("delivery_id", String(32), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("state", String(24), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Words, nullable=False),
    Column("reason", Words),
)

purge_approvals = Table(
    "purge_approvals",
    METADATA,
    Column("approval_id", Count, primary_key=True, autoincrement=False),
    Column("office", String(2), nullable=False),
    Column("right", String(16), nullable=False),
    Column("up_to", Count, nullable=False),
    Column("until", Date, nullable=False),
    Column("reason", Words, nullable=False),
    Column("approved_at", Instant, nullable=False),
    Column("approved_by", Words, nullable=False),
    Column("used_at", Instant),
    Column("used_by", String(32), unique=True),
    Column("withdrawn_at", Instant),
    Column("withdrawn_by", Words),
    Index(None, "office", "right"),
)

observations = Table(
    "observations",
    METADATA,
    Column("office", String(2), primary_key=True),
    Column("path", ServerPath, primary_key=True),
    Column("size", Count, nullable=False),
    Column("mtime", Count, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("sha256", String(64)),
    Column("delivery_id", String(32)),
)

contacts = Table(
    "contacts",
    METADATA,
    Column("office", String(2), primary_key=True),
    Column("succeeded_at", Instant),
    Column("failing_since", Instant),
    Column("failures", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("refused", Boolean, nullable=False),
    Column("reason", Words),
    Column("server", Words),
    Column("folder", Document),
)

idempotency_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("client_id", String(40), primary_key=True),
    Column("key_hash", LargeBinary(32), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("subject", Words),
    Column("at", Instant, nullable=False),
    Index(None, "at"),
)

uploads = Table(
    "uploads",
    METADATA,
    Column("file_id", String(40), primary_key=True),
    Column("client_id", ForeignKey("clients.client_id"), nullable=False),
    Column("office", String(2), nullable=False),
    Column("name", Words, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("bytes", Count, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Words),
    Column("announced_at", Instant, nullable=False),
    Index(None, "client_id", "state"),
)
