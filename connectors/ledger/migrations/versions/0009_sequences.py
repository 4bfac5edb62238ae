"""The office's own number of a delivery within its day; what came before keeps its place."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    op.add_column("deliveries", sa.Column("office_sequence", sa.Integer()))
