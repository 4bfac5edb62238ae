"""Announced purges that were taken back before a delivery used them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    op.add_column("purge_approvals", sa.Column("withdrawn_at", sa.DateTime(timezone=True)))
    op.add_column("purge_approvals", sa.Column("withdrawn_by", sa.Text()))
