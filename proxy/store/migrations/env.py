"""What alembic runs: the steps that are missing, in the transaction of the connection handed in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
