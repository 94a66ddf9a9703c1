"""Adds the fingerprints of a process's keys: keys change only once every process has the new one."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("processes", sa.Column("keys", sa.JSON, nullable=True))
