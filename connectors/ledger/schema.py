"""Tables of the ledger.

History tables (``delivery_events``, ``authorization_versions``, ``audit``) are append-only,
which triggers of the migrations enforce, and hold copies instead of foreign keys where they
must outlive what they describe. How rows are read and written is one module per noun.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

from connectors.ledger.columns import Count, Document, Instant, ServerPath, Words

HEAD = "0012"
"""Newest migration; a ledger that has it opens without loading Alembic."""

APPEND_ONLY = ("delivery_events", "authorization_versions", "audit")

# Named from the first day: SQLite can only change a constraint that has a name.
METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A content takes effect once: only these states, and a delivery that was reverted, leave room for
# the same content again.
_TAKES_EFFECT = text("state NOT IN ('duplicate', 'rejected', 'withdrawn') AND reverted_at IS NULL")

counters = Table(
    "counters",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Count, nullable=False),
)

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

third_parties = Table(
    "third_parties",
    METADATA,
    Column("name", Words, primary_key=True),
    # Two spellings that differ in case only would be mistaken for each other by people.
    Column("folded", Text, nullable=False, unique=True),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Words, nullable=False),
)

clients = Table(
    "clients",
    METADATA,
    Column("client_id", String(40), primary_key=True),
    Column("name", Words, nullable=False),
    Column("third_party", ForeignKey("third_parties.name")),
    Column("office", String(2)),
    Column("role", String(24), nullable=False, server_default="third_party"),
    Column("das_compat", Boolean, nullable=False),
    Column("dpop_required", Boolean, nullable=False, server_default=false()),
    Column("strict_audience", Boolean, nullable=False, server_default=false()),
    # The hub's own quotas where nothing is said.
    Column("requests_per_minute", Integer),
    Column("rows_per_minute", Integer),
    Column("last_used_at", Instant),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Words, nullable=False),
    Column("revoked_at", Instant),
    Index(None, "third_party"),
    Index(None, "office"),
)

client_secrets = Table(
    "client_secrets",
    METADATA,
    Column("secret_hash", LargeBinary(32), primary_key=True),
    Column("client_id", ForeignKey("clients.client_id"), nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Index(None, "client_id"),
)

client_keys = Table(
    "client_keys",
    METADATA,
    Column("client_id", ForeignKey("clients.client_id"), primary_key=True),
    Column("kid", Text, primary_key=True),
    Column("jwk", Document, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("expires_at", Instant),
)

authorizations = Table(
    "authorizations",
    METADATA,
    Column("third_party", ForeignKey("third_parties.name"), primary_key=True),
    Column("office", String(2), primary_key=True),
    Column("version", Integer, nullable=False),
    # Classes allowed, not withheld: a class invented later stays closed until an office opens it.
    # ``views`` has rows, free text and since when, per right.
    Column("allowed", Document, nullable=False),
    Column("views", Document),
    Column("valid_from", Date),
    Column("valid_until", Date),
    Column("terms_of_use", String(32)),
    Column("purpose", Words),
    Column("addresses", Document),
    Column("reason", Words),
    Column("set_at", Instant, nullable=False),
    Column("set_by", Words, nullable=False),
)

authorization_versions = Table(
    "authorization_versions",
    METADATA,
    Column("third_party", Text, primary_key=True),
    Column("office", String(2), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("allowed", Document, nullable=False),
    Column("views", Document),
    Column("valid_from", Date),
    Column("valid_until", Date),
    Column("terms_of_use", String(32)),
    Column("purpose", Words),
    Column("addresses", Document),
    Column("reason", Words),
    Column("set_at", Instant, nullable=False),
    Column("set_by", Words, nullable=False),
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

# Expiry of tokens and assertions is only ever compared: microseconds since 1970.
tokens = Table(
    "tokens",
    METADATA,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("client_id", ForeignKey("clients.client_id"), nullable=False),
    Column("expires_at", Count, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("scope", Words),
    # RFC 7638 thumbprint of the key the token is bound to, if it is (RFC 9449).
    Column("key_thumbprint", String(43)),
    Index(None, "expires_at"),
    Index(None, "client_id"),
)

assertions = Table(
    "assertions",
    METADATA,
    Column("client_id", String(40), primary_key=True),
    Column("jti_hash", LargeBinary(32), primary_key=True),
    Column("expires_at", Count, nullable=False),
    Index(None, "expires_at"),
)

# One row: which environment the ledger belongs to, so that a copy of it opens no other.
hub = Table(
    "hub",
    METADATA,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("environment", String(16), nullable=False),
)

webhooks = Table(
    "webhooks",
    METADATA,
    Column("webhook_id", String(40), primary_key=True),
    Column("client_id", ForeignKey("clients.client_id"), nullable=False),
    Column("url", Text, nullable=False),
    # The secret is derived from the hub's own and this number: nothing here can sign.
    Column("generation", Integer, nullable=False),
    Column("rotated_at", Instant),
    # Nothing at all until its client was told for the first time.
    Column("told", Document),
    Column("added_at", Instant, nullable=False),
    Column("added_by", Words, nullable=False),
    Column("ended_at", Instant),
    Column("ended_because", Words),
    Index(None, "client_id"),
)

notifications = Table(
    "notifications",
    METADATA,
    Column("notification_id", String(40), primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.webhook_id"), nullable=False),
    Column("position", Count, nullable=False),
    Column("body", Document, nullable=False),
    Column("noticed_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("delivered_at", Instant),
    Column("given_up_at", Instant),
    Column("trouble", Words),
    Index(None, "webhook_id", "position", unique=True),
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
