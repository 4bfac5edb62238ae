"""What the last visit to an office's folder left there, for the office to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    op.add_column("contacts", sa.Column("folder", sa.Text()))
