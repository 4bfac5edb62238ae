"""What makes a push safe to repeat, and large files that come in parts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    op.create_table(
        "idempotency_keys",
        sa.Column("client_id", sa.String(40), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key_hash", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"])
    op.create_table(
        "uploads",
        sa.Column("file_id", sa.String(40), nullable=False),
        sa.Column("client_id", sa.String(40), nullable=False),
        sa.Column("office", sa.String(2), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("bytes", COUNT, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("announced_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("file_id", name="pk_uploads"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.client_id"], name="fk_uploads_client_id"),
    )
    op.create_index("ix_uploads_client_id_state", "uploads", ["client_id", "state"])
