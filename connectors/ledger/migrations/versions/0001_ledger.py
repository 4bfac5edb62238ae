"""The ledger's first tables, and the triggers that keep history append-only."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = ("delivery_events", "authorization_versions", "audit")


def required(name: str, kind: Any) -> sa.Column[Any]:
    """Return a column without NULL; keys are given by us, never counted up."""
    return sa.Column(name, kind, nullable=False, autoincrement=False)


def text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[str]:
    """Return a text column."""
    kind = sa.String(length) if length else sa.Text()
    return sa.Column(name, kind, nullable=nullable)


def instant(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column for instants in UTC."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def create(name: str, key: list[str], *columns: sa.Column[Any], **references: str) -> None:
    """Create a table; ``references`` names the column each of its own columns refers to."""
    op.create_table(
        name,
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        *(
            sa.ForeignKeyConstraint([own], [other], name=f"fk_{name}_{own}")
            for own, other in references.items()
        ),
    )


def index(table: str, *columns: str) -> None:
    """Create an index with the name the convention gives it."""
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    create("counters", ["name"], text("name", 64), required("value", COUNT))
    deliveries()
    observations()
    clients()
    authorizations()
    tokens()
    audit()
    for table in APPEND_ONLY:
        guard(table)


def deliveries() -> None:
    """Create what arrived."""
    create(
        "deliveries",
        ["delivery_id"],
        text("delivery_id", 32),
        text("office", 2),
        text("right", 16),
        text("kind", 16),
        text("channel", 8),
        text("identity", 64),
        text("state", 24),
        text("reason", nullable=True),
        instant("received_at"),
        text("received_by"),
        sa.Column("office_date", sa.Date()),
        text("receipt", nullable=True),
        text("findings", nullable=True),
        text("durations", nullable=True),
        text("leased_by", nullable=True),
        instant("leased_until", nullable=True),
    )
    index("deliveries", "office", "right", "state")
    takes_effect = sa.text("state NOT IN ('duplicate', 'rejected', 'withdrawn')")
    op.create_index(
        "uq_deliveries_identity",
        "deliveries",
        ["identity"],
        unique=True,
        sqlite_where=takes_effect,
        postgresql_where=takes_effect,
    )
    create(
        "delivery_files",
        ["delivery_id", "position"],
        text("delivery_id", 32),
        required("position", sa.Integer()),
        text("name"),
        text("sha256", 64),
        required("bytes", COUNT),
        delivery_id="deliveries.delivery_id",
    )
    index("delivery_files", "sha256")
    create(
        "delivery_events",
        ["delivery_id", "position"],
        text("delivery_id", 32),
        required("position", sa.Integer()),
        text("state", 24),
        instant("at"),
        text("actor"),
        text("reason", nullable=True),
    )


def observations() -> None:
    """Create the memory of listings."""
    create(
        "observations",
        ["office", "path"],
        text("office", 2),
        text("path"),
        required("size", COUNT),
        required("mtime", COUNT),
        instant("first_seen_at"),
        text("sha256", 64, nullable=True),
        text("delivery_id", 32, nullable=True),
    )


def clients() -> None:
    """Create third parties, clients and their credentials."""
    create(
        "third_parties",
        ["name"],
        text("name"),
        text("folded"),
        instant("added_at"),
        text("added_by"),
    )
    with op.batch_alter_table("third_parties") as batch:
        batch.create_unique_constraint("uq_third_parties_folded", ["folded"])
    create(
        "clients",
        ["client_id"],
        text("client_id", 40),
        text("name"),
        text("third_party", nullable=True),
        text("office", 2, nullable=True),
        required("das_compat", sa.Boolean()),
        instant("added_at"),
        text("added_by"),
        instant("revoked_at", nullable=True),
        third_party="third_parties.name",
    )
    index("clients", "third_party")
    index("clients", "office")
    create(
        "client_secrets",
        ["secret_hash"],
        required("secret_hash", sa.LargeBinary(32)),
        text("client_id", 40),
        instant("added_at"),
        instant("expires_at", nullable=True),
        client_id="clients.client_id",
    )
    index("client_secrets", "client_id")
    create(
        "client_keys",
        ["client_id", "kid"],
        text("client_id", 40),
        text("kid"),
        text("jwk"),
        instant("added_at"),
        instant("expires_at", nullable=True),
        client_id="clients.client_id",
    )


def authorizations() -> None:
    """Create the present authorizations and every version there was."""
    columns = (("third_party", None), ("office", 2))
    for table, key in (
        ("authorizations", ["third_party", "office"]),
        ("authorization_versions", ["third_party", "office", "version"]),
    ):
        references = {"third_party": "third_parties.name"} if table == "authorizations" else {}
        create(
            table,
            key,
            *(text(name, length) for name, length in columns),
            required("version", sa.Integer()),
            text("allowed"),
            sa.Column("valid_until", sa.Date()),
            instant("set_at"),
            text("set_by"),
            **references,
        )


def tokens() -> None:
    """Create access tokens and used assertions; expiry in microseconds since 1970."""
    create(
        "tokens",
        ["token_hash"],
        required("token_hash", sa.LargeBinary(32)),
        text("client_id", 40),
        required("expires_at", COUNT),
        instant("issued_at"),
        text("scope", nullable=True),
        client_id="clients.client_id",
    )
    index("tokens", "expires_at")
    index("tokens", "client_id")
    create(
        "assertions",
        ["client_id", "jti_hash"],
        text("client_id", 40),
        required("jti_hash", sa.LargeBinary(32)),
        required("expires_at", COUNT),
    )
    index("assertions", "expires_at")


def audit() -> None:
    """Create the audit chain and its empty beginning."""
    create(
        "audit",
        ["seq"],
        required("seq", COUNT),
        text("at", 32),
        text("actor"),
        text("action", 64),
        text("subject"),
        text("before", nullable=True),
        text("after", nullable=True),
        text("previous_hash", 64),
        text("hash", 64),
    )
    index("audit", "subject")
    create(
        "audit_head",
        ["only"],
        required("only", sa.Integer()),
        required("seq", COUNT),
        text("hash", 64),
    )
    head = sa.table("audit_head", sa.column("only"), sa.column("seq"), sa.column("hash"))
    op.execute(head.insert().values(only=1, seq=0, hash="0" * 64))


def guard(table: str) -> None:
    """Refuse changes of history in the database itself, whoever asks."""
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
