"""Alembic's entry: run the migrations on the connection that `database.migrate` hands over."""

from alembic import context

from slimcast.store.tables import VERSION_TABLE, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, version_table=VERSION_TABLE, render_as_batch=True
)
context.run_migrations()
