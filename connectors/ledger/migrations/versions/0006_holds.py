"""Why a delivery is held, what was announced, and what was taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TAKES_EFFECT = sa.text(
    "state NOT IN ('duplicate', 'rejected', 'withdrawn') AND reverted_at IS NULL"
)


def upgrade() -> None:
    """Apply; the same statements run on SQLite and PostgreSQL."""
    for column in (
        sa.Column("hold", sa.Text()),
        sa.Column("held_at", sa.DateTime(timezone=True)),
        sa.Column("reverted_at", sa.DateTime(timezone=True)),
        sa.Column("reverted_by", sa.Text()),
        sa.Column("reversal", sa.Text()),
    ):
        op.add_column("deliveries", column)
    op.drop_index("uq_deliveries_identity", "deliveries")
    op.create_index(
        "uq_deliveries_identity",
        "deliveries",
        ["identity"],
        unique=True,
        sqlite_where=TAKES_EFFECT,
        postgresql_where=TAKES_EFFECT,
    )
    # A delivery that was already held when this migration ran has waited since it was held.
    op.execute(
        "UPDATE deliveries SET held_at = (SELECT max(at) FROM delivery_events AS e "
        "WHERE e.delivery_id = deliveries.delivery_id AND e.state = 'held') WHERE state = 'held'"
    )
    op.create_table(
        "purge_approvals",
        sa.Column("approval_id", COUNT, nullable=False, autoincrement=False),
        sa.Column("office", sa.String(2), nullable=False),
        sa.Column("right", sa.String(16), nullable=False),
        sa.Column("up_to", COUNT, nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.Column("used_by", sa.String(32)),
        sa.PrimaryKeyConstraint("approval_id", name="pk_purge_approvals"),
        sa.UniqueConstraint("used_by", name="uq_purge_approvals_used_by"),
    )
    op.create_index("ix_purge_approvals_office_right", "purge_approvals", ["office", "right"])
