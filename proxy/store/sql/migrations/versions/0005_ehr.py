"""Adds a column for a case's ehr: it may be megabytes, and is stored compressed, as it came."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("cases", sa.Column("ehr", sa.LargeBinary, nullable=True))
