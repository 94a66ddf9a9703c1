"""Adds the changes that end cached values, and how far each process has followed them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_changes"),
    )
    op.add_column("processes", sa.Column("changes", sa.Integer, nullable=True))
