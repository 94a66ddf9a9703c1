"""Adds the tables for moving routes: overrides, homes, evidence, the ledger; makes the audit append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("side", sa.String, nullable=False, server_default="new"))
    _audit_only_grows()
    _homes()
    _overrides()
    _evidence()
    _ledger()


def _audit_only_grows() -> None:
    op.add_column("audit", sa.Column("detail", sa.String, nullable=False, server_default=""))
    op.add_column("audit", sa.Column("hash", sa.String, nullable=True))
    for what in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{what.lower()} BEFORE {what} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
        )


def _homes() -> None:
    op.create_table(
        "homes",
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("legacy_id", sa.String, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", "legacy_id", name="pk_homes"),
    )
    op.create_table(
        "legacy_sessions",
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("token", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_legacy_sessions"),
    )
    op.create_table(
        "pairs",
        sa.Column("control_id", sa.String, nullable=False),
        sa.Column("candidate_id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("control_id", name="pk_pairs"),
        sa.UniqueConstraint("candidate_id", name="uq_pairs_candidate_id"),
    )
    op.create_table(
        "shadow_budget",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("day", "route", name="pk_shadow_budget"),
    )


def _overrides() -> None:
    op.create_table(
        "overrides",
        sa.Column("revision", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("organization", sa.LargeBinary, nullable=True),
        sa.Column("mode", sa.String, nullable=True),
        sa.Column("percent", sa.Float, nullable=True),
        sa.Column("until", sa.BigInteger, nullable=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("undoes", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("revision", name="pk_overrides"),
    )
    op.create_index("ix_overrides_route_scope", "overrides", ["route", "scope"])
    op.create_table(
        "processes",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("mappings", sa.String, nullable=False),
        sa.Column("rejected", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_processes"),
    )


def _evidence() -> None:
    op.create_table(
        "comparisons",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("organization", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("day", "route", "organization", "outcome", name="pk_comparisons"),
    )
    op.create_table(
        "differences",
        sa.Column("route", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("control_type", sa.String, nullable=False),
        sa.Column("candidate_type", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("sample", sa.JSON, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "route", "path", "kind", "control_type", "candidate_type", name="pk_differences"
        ),
    )
    op.create_table(
        "learned",
        sa.Column("route", sa.String, nullable=False),
        sa.Column("side", sa.String, nullable=False),
        sa.Column("status", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("content_type", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("route", "side", "status", "content_type", "path", "type", name="pk_learned"),
    )
    op.create_table(
        "contract_runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("passed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("not_applicable", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contract_runs"),
    )


def _ledger() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("organization_hash", sa.String, nullable=False),
        sa.Column("organization", sa.LargeBinary, nullable=False),
        sa.Column("agent", sa.LargeBinary, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
    )
    op.create_table(
        "ledger",
        sa.Column("client", sa.String, nullable=False),
        sa.Column("day", sa.String, nullable=False),
        sa.Column("route", sa.String, nullable=False),
        sa.Column("mode", sa.String, nullable=False),
        sa.Column("status", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("client", "day", "route", "mode", "status", name="pk_ledger"),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("story", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
    )
    op.create_index("ix_requests_request_id", "requests", ["request_id"])
