"""Authorizations with rows, terms, addresses and a reason."""

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = ("authorizations", "authorization_versions")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    for table in TABLES:
        for name in ("views", "purpose", "addresses", "reason"):
            op.add_column(table, sa.Column(name, sa.Text()))
        op.add_column(table, sa.Column("valid_from", sa.Date()))
        op.add_column(table, sa.Column("terms_of_use", sa.String(32)))
    date_grants()


def date_grants() -> None:
    """Note since when a right is shared: nobody was told, so since the present version."""
    present = sa.table(
        "authorizations",
        *(sa.column(name) for name in ("third_party", "office", "allowed", "views")),
        sa.column("set_at", sa.DateTime(timezone=True)),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(present)).all():
        at = row.set_at if row.set_at.tzinfo else row.set_at.replace(tzinfo=UTC)
        since = (at - EPOCH) // timedelta(microseconds=1)
        views = {right: {"since": since} for right in sorted(json.loads(row.allowed))}
        mine = present.update().where(
            present.c.third_party == row.third_party, present.c.office == row.office
        )
        connection.execute(mine.values(views=json.dumps(views, separators=(",", ":"))))
