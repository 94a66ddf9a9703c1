"""Adds what several processes count and claim together: a canary's outcomes, and attempts of linked cases."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("links", sa.Column("attempt", sa.String, nullable=True))
    op.create_index("ix_links_state", "links", ["state"])  # each process asks for open ones all the time
    op.create_table(
        "canary_counts",
        sa.Column("route", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("since", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("bad", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("route", "scope", "kind", "since", "at", name="pk_canary_counts"),
    )
