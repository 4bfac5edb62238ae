"""What Alembic runs: migrations on the connection that ``engine.migrate`` holds open."""

from alembic import context

from connectors.ledger.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    # SQLite cannot alter a column; a batch copies the table there and alters it elsewhere.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
