"""Clients have a role: what they may do for their office or for the hub."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Give every client there is the role it had without a word for it."""
    # With a default: SQLite adds no column without NULL otherwise, and may not recreate a
    # table others refer to. It is the role that may do nothing at an office.
    role = sa.Column("role", sa.String(24), nullable=False, server_default="third_party")
    op.add_column("clients", role)
    op.execute("UPDATE clients SET role = 'office_data_manager' WHERE office IS NOT NULL")
