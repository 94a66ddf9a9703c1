"""Adds what an operator looks at: series, facts of requests, evidence by mapping, and the page's sessions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_COUNTS = ("count", "errors", "compared", "differing")
_BOUNDS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
_LATENCIES = (*(f"ms_{bound}" for bound in _BOUNDS), "ms_more")


def upgrade() -> None:
    for table in ("journal", "links"):
        for column in ("request_id", "organization", "resolution"):
            op.add_column(table, sa.Column(column, sa.String, nullable=True))
    op.add_column("processes", sa.Column("about", sa.JSON, nullable=True))
    _extend_key("comparisons", ["mapping"], ["day", "route", "organization", "outcome"])
    summed = ["route", "mapping", "outcome", "day", "count"]
    op.create_index(f"ix_comparisons_{'_'.join(summed)}", "comparisons", summed)
    difference = ["route", "path", "kind", "control_type", "candidate_type"]
    _extend_key("differences", ["mapping", "organization"], difference)
    _extend_key("ledger", ["side"], ["client", "day", "route", "mode", "status"])
    for column in ("route", "organization", "side", "cause"):
        op.add_column("requests", _later(column))
    for column in ("status", "milliseconds", "failed"):
        op.add_column("requests", sa.Column(column, sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_requests_failed_id", "requests", ["failed", "id"])
    op.create_table(
        "explanations",
        *(sa.Column(name, sa.String, nullable=False) for name in (*difference, "reason", "actor")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*difference, name="pk_explanations"),
    )
    op.create_table(
        "series",
        sa.Column("step", sa.SmallInteger, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        *(sa.Column(name, _BIG, nullable=False) for name in (*_COUNTS, *_LATENCIES)),
        sa.PrimaryKeyConstraint("step", "route", "at", "mode", "side", name="pk_series"),
    )
    op.create_table(
        "page_sessions",
        *(sa.Column(name, sa.String, nullable=False) for name in ("token_hash", "actor", "operator")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created_at", "expires_at")),
        sa.PrimaryKeyConstraint("token_hash", name="pk_page_sessions"),
    )
    op.create_table(
        "alerts",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_alerts"),
    )


def _later(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, server_default="")


def _extend_key(table: str, columns: Sequence[str], key: Sequence[str]) -> None:
    """Adds the columns to the table and to its primary key; they are "" in the rows that are there."""
    bind, name = op.get_bind(), f"pk_{table}"
    if bind.dialect.name == "sqlite":  # it can't change a key: the rows move to a new table
        old = sa.Table(table, sa.MetaData(), autoload_with=bind)
        same = [sa.Column(column.name, column.type, nullable=False) for column in old.columns]
        primary_key = sa.PrimaryKeyConstraint(*key, *columns, name=name)
        added = [sa.Column(column, sa.String, nullable=False) for column in columns]
        new = op.create_table(f"{table}_new", *same, *added, primary_key)
        rows = sa.select(*old.columns, *(sa.literal("") for _ in columns))
        bind.execute(new.insert().from_select([*old.columns.keys(), *columns], rows))
        op.drop_table(table)
        op.rename_table(new.name, table)
        return
    for column in columns:
        op.add_column(table, _later(column))
        op.alter_column(table, column, server_default=None)
    op.drop_constraint(name, table, type_="primary")
    op.create_primary_key(name, table, [*key, *columns])
