"""${message}."""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    ${upgrades if upgrades else "pass"}
