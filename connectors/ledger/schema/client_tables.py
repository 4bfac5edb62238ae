"""Tables of who asks: third parties, clients and their credentials, authorizations, webhooks."""

from typing import Any

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
    Text,
    false,
)

from connectors.ledger.columns import Count, Document, Instant, Words
from connectors.ledger.schema.metadata import METADATA

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


def _decided() -> list[Column[Any]]:
    """Return columns of what an office decided, as it is now and in every version.

    Classes allowed, not withheld: a class invented later stays closed until an office opens it.
    ``views`` has rows, free text and since when, per right.
    """
    return [
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
    ]


authorizations = Table(
    "authorizations",
    METADATA,
    Column("third_party", ForeignKey("third_parties.name"), primary_key=True),
    Column("office", String(2), primary_key=True),
    Column("version", Integer, nullable=False),
    *_decided(),
)

authorization_versions = Table(
    "authorization_versions",
    METADATA,
    Column("third_party", Text, primary_key=True),
    Column("office", String(2), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_decided(),
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
