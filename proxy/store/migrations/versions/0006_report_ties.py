"""What was told of a report at its newest time before what counts now: a repeat of it changes nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("reports", sa.Column("earlier", sa.String, nullable=False, server_default=""))
