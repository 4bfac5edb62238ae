"""Which server an office failed at: another one, or another key, may be tried at once."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    op.add_column("contacts", sa.Column("server", sa.Text()))
