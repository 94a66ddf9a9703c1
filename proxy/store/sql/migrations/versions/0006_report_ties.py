"""Adds the earlier events of a report's newest time: a repeat of one of them changes nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("reports", sa.Column("earlier", sa.String, nullable=False, server_default=""))
