"""Run by Alembic, with the connection that `migrating.py` gives it."""

from alembic import context

from penstock.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a column by writing its table anew
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
