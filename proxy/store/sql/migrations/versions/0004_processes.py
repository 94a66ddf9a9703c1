"""Adds the process of an intent: several use one store, and only a dead one's intents are left over."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("journal", sa.Column("process", sa.String, nullable=True))
    op.add_column("links", sa.Column("process", sa.String, nullable=True))
