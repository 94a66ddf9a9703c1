"""Makes the first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _keys_and_sessions()
    _cases()
    _journal()
    _audio()
    _transcriptions_and_links()
    _conversations()
    _reports()
    _audit()


def _keys_and_sessions() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "api_keys",
        sa.Column("ref", sa.String, nullable=False),
        sa.Column("api_key", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("ref", name="pk_api_keys"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String, nullable=False),
        sa.Column("key_ref", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("who", sa.LargeBinary, nullable=False),
        sa.Column("access_token", sa.LargeBinary, nullable=False),
        sa.Column("access_expires_at", sa.BigInteger, nullable=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["key_ref"], ["api_keys.ref"], name="fk_sessions_key_ref"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_key_ref", "sessions", ["key_ref"])


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("runtime_ms", sa.Integer, nullable=False),
        sa.Column("tokens_conversation", sa.Integer, nullable=False),
        sa.Column("tokens_ehr", sa.Integer, nullable=False),
        sa.Column("tokens_documents", sa.Integer, nullable=False),
        sa.Column("template", sa.String, nullable=True),
        sa.Column("agent", sa.String, nullable=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
    )
    op.create_index("ix_cases_owner_created_at", "cases", ["owner", "created_at"])
    op.create_table(
        "case_files",
        sa.Column("case_id", sa.String, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("about", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_files_case_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("case_id", "position", name="pk_case_files"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("idempotency", sa.String, nullable=True),
        sa.Column("body_digest", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=True),
        sa.Column("case_id", sa.String, nullable=True),
        sa.Column("answer", sa.LargeBinary, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
        sa.UniqueConstraint("owner", "idempotency", name="uq_journal_owner_idempotency"),
    )
    op.create_index("ix_journal_state", "journal", ["state"])


def _audio() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("legacy_id", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("filename", sa.LargeBinary, nullable=False),
        sa.Column("content_type", sa.String, nullable=False),
        sa.Column("container", sa.String, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.UniqueConstraint("owner", "legacy_id", "number", name="uq_recordings_owner_legacy_id_number"),
    )
    op.create_table(
        "chunks",
        sa.Column("recording_id", sa.String, nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("blob", sa.String, nullable=False),
        sa.Column("blob_key", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name="fk_chunks_recording_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("recording_id", "position", name="pk_chunks"),
        sa.UniqueConstraint("blob", name="uq_chunks_blob"),
    )


def _transcriptions_and_links() -> None:
    op.create_table(
        "transcriptions",
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("legacy_id", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", "legacy_id", "digest", name="pk_transcriptions"),
    )
    op.create_table(
        "links",
        sa.Column("case_id", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("linked_case_id", sa.String, nullable=True),
        sa.Column("cause", sa.String, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "digest", name="pk_links"),
    )
    op.create_index("ix_links_linked_case_id", "links", ["linked_case_id"])


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("case_id", sa.String, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("conversation", sa.LargeBinary, nullable=False),
        sa.Column("sent", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "owner", name="pk_conversations"),
    )


def _reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("case_id", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("agent_id", sa.String, nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
    )
    op.create_index("ix_reports_case_id", "reports", ["case_id"])


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_action_subject", "audit", ["action", "subject"])
