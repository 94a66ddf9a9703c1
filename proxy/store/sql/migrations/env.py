"""Runs, for alembic, the missing steps in the transaction of the connection that is passed in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
