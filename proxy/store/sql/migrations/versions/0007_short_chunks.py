"""Adds to a chunk too short for a signature the data to open a recording with, if the next one says so."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("chunks", sa.Column("short", sa.LargeBinary, nullable=True))
