"""The schema, for SQLite and PostgreSQL alike; columns marked `sealed` hold what a Sealer made."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since 1970 UTC and given back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def _sealed(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, String, nullable=False, primary_key=primary_key)


def _moment(name: str) -> Column[datetime]:
    return Column(name, Moment, nullable=False)


metadata: Final = MetaData(
    naming_convention={  # PostgreSQL and a later migration need the constraints by name
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta: Final = Table("meta", metadata, _text("name", primary_key=True), _sealed("value"))

api_keys: Final = Table("api_keys", metadata, _text("ref", primary_key=True), _sealed("api_key"))

sessions: Final = Table(
    "sessions",
    metadata,
    _text("token_hash", primary_key=True),
    Column("key_ref", ForeignKey("api_keys.ref"), nullable=False, index=True),
    _text("owner"),
    _sealed("who"),
    _sealed("access_token"),
    Column("access_expires_at", Moment),
    _moment("expires_at"),
)

cases: Final = Table(
    "cases",
    metadata,
    _text("id", primary_key=True),
    _text("owner"),
    _moment("created_at"),
    Column("runtime_ms", Integer, nullable=False),
    Column("tokens_conversation", Integer, nullable=False),
    Column("tokens_ehr", Integer, nullable=False),
    Column("tokens_documents", Integer, nullable=False),
    Column("template", String),
    Column("agent", String),
    _sealed("content"),
    Index(None, "owner", "created_at"),
)

case_files: Final = Table(
    "case_files",
    metadata,
    Column("case_id", ForeignKey("cases.id", ondelete="CASCADE"), primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    _sealed("about"),
    _sealed("text"),
)

journal: Final = Table(
    "journal",
    metadata,
    _text("id", primary_key=True),
    _text("owner"),
    _text("kind"),
    Column("idempotency", String),
    _text("body_digest"),
    Column("state", String, nullable=False, index=True),
    Column("cause", String),
    Column("case_id", String),
    _sealed("answer", nullable=True),
    _moment("created_at"),
    UniqueConstraint("owner", "idempotency"),  # a freed key is NULL, and NULLs are distinct
)

recordings: Final = Table(
    "recordings",
    metadata,
    _text("id", primary_key=True),
    _text("owner"),
    _text("legacy_id"),
    Column("number", Integer, nullable=False),
    _sealed("filename"),
    _text("content_type"),
    Column("container", String),
    _moment("created_at"),
    UniqueConstraint("owner", "legacy_id", "number"),
)

chunks: Final = Table(
    "chunks",
    metadata,
    Column("recording_id", ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("blob", String, nullable=False, unique=True),
    _sealed("blob_key"),
    Column("size", BigInteger, nullable=False),
    _text("sha256"),
)

transcriptions: Final = Table(
    "transcriptions",
    metadata,
    _text("owner", primary_key=True),
    _text("legacy_id", primary_key=True),
    _text("digest", primary_key=True),
    _sealed("text"),
    Column("seconds", Float, nullable=False),
    _moment("created_at"),
)

links: Final = Table(
    "links",
    metadata,
    _text("case_id", primary_key=True),
    _text("digest", primary_key=True),
    _text("state"),
    Column("linked_case_id", String, index=True),
    Column("cause", String),
    _moment("created_at"),
)

conversations: Final = Table(
    "conversations",
    metadata,
    _text("case_id", primary_key=True),
    _text("owner", primary_key=True),
    _sealed("conversation"),
    Column("sent", JSON, nullable=False),
)

reports: Final = Table(
    "reports",
    metadata,
    _text("id", primary_key=True),
    Column("case_id", String, nullable=False, index=True),
    _moment("at"),
    Column("rank", SmallInteger, nullable=False),
    _text("fingerprint"),
    _moment("received_at"),
    Column("agent_id", String),
    _sealed("body", nullable=True),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    _moment("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    Index(None, "action", "subject"),
)
