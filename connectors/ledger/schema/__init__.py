"""Tables of the ledger.

History tables (``delivery_events``, ``authorization_versions``, ``audit``) are append-only,
which triggers of the migrations enforce, and hold copies instead of foreign keys where they
must outlive what they describe. How rows are read and written is one module per noun.
"""

from connectors.ledger.schema.client_tables import (
    assertions,
    authorization_versions,
    authorizations,
    client_keys,
    client_secrets,
    clients,
    notifications,
    third_parties,
    tokens,
    webhooks,
)
from connectors.ledger.schema.delivery_tables import (
    contacts,
    deliveries,
    delivery_events,
    delivery_files,
    idempotency_keys,
    observations,
    purge_approvals,
    uploads,
)
from connectors.ledger.schema.hub_tables import audit, audit_head, counters, hub
from connectors.ledger.schema.metadata import METADATA

__all__ = [
    "APPEND_ONLY",
    "HEAD",
    "METADATA",
    "assertions",
    "audit",
    "audit_head",
    "authorization_versions",
    "authorizations",
    "client_keys",
    "client_secrets",
    "clients",
    "contacts",
    "counters",
    "deliveries",
    "delivery_events",
    "delivery_files",
    "hub",
    "idempotency_keys",
    "notifications",
    "observations",
    "purge_approvals",
    "third_parties",
    "tokens",
    "uploads",
    "webhooks",
]

HEAD = "0012"
"""Newest migration; a ledger that has it opens without loading Alembic."""

APPEND_ONLY = ("delivery_events", "authorization_versions", "audit")
