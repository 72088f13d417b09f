"""Alembic runs this; the connection and its transaction come from hub.store.migrate."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
