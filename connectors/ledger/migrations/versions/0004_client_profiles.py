"""Clients have a profile: how they prove themselves, and quotas of their own.

A token may be bound to a key, and the ledger says which environment it belongs to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply; every client there is keeps the profile it had without a word for it."""
    for name in ("dpop_required", "strict_audience"):
        column: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), nullable=False, server_default=sa.false()
        )
        op.add_column("clients", column)
    for name in ("requests_per_minute", "rows_per_minute"):
        op.add_column("clients", sa.Column(name, sa.Integer()))
    op.add_column("clients", sa.Column("last_used_at", sa.DateTime(timezone=True)))
    op.add_column("tokens", sa.Column("key_thumbprint", sa.String(43)))
    op.create_table(
        "hub",
        sa.Column("only", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("environment", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("only", name="pk_hub"),
    )
