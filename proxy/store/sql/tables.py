"""Defines the schema, for SQLite and PostgreSQL alike; `SEALED` has the columns with a Sealer's values.

The ids of cases and of audio are `folded_id` in every column but the spellings.
"""

from collections.abc import Mapping, Sequence
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

# The buckets of latencies, by their upper bounds in milliseconds.
LATENCY_BOUNDS: Final = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
LATENCIES: Final = (*(f"ms_{bound}" for bound in LATENCY_BOUNDS), "ms_more")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEALED: Final = "sealed"


class Moment(TypeDecorator[datetime]):
    """An aware datetime, stored as whole microseconds since 1970 UTC and read back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + timedelta(microseconds=value)


# A number that may pass 2^31. SQLite's INTEGER has 64 bits, and it alone counts up by itself there.
_BIG: Final = BigInteger().with_variant(Integer, "sqlite")


def _sealed(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable, info={_SEALED: True})


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, String, nullable=False, primary_key=primary_key)


def _spelling(name: str) -> Column[str | None]:
    """Returns a column for an id as its side spelt it, where the lookup key differs (CONTRACT G03)."""
    return Column(name, String, nullable=True)


def _later(name: str) -> Column[str]:
    """Returns a text column that a migration added: "" in the rows of earlier releases."""
    return Column(name, String, nullable=False, server_default="")


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

# The pepper, which is sealed again at every start, and values that are not sealed: the audit chain's end etc.
meta: Final = Table(
    "meta", metadata, _text("name", primary_key=True), Column("value", LargeBinary, nullable=False)
)

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
    Column("side", String, nullable=False, server_default="new"),
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
    _sealed("ehr", nullable=True),
    _spelling("spelling"),
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
    Column("process", String),
    Column("request_id", String),
    Column("organization", String),
    Column("resolution", String),
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
    _sealed("short", nullable=True),
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
    Column("state", String, nullable=False, index=True),
    Column("linked_case_id", String, index=True),
    Column("cause", String),
    _moment("created_at"),
    Column("process", String),
    _spelling("linked_spelling"),
    Column("attempt", String),  # the nonce of the last one that began
    Column("request_id", String),
    Column("organization", String),
    Column("resolution", String),
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
    Column("earlier", String, nullable=False, server_default=""),
    _moment("received_at"),
    Column("agent_id", String),
    _sealed("body", nullable=True),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", _BIG, primary_key=True),
    _moment("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    Column("detail", String, nullable=False, server_default=""),
    Column("hash", String),
    Index(None, "action", "subject"),
)

# The side on which a case, or an id with audio, lives (DESIGN "A case's home").
homes: Final = Table(
    "homes",
    metadata,
    _text("owner", primary_key=True),
    _text("legacy_id", primary_key=True),
    _text("side"),
    _moment("at"),
    _spelling("spelling"),
)

legacy_sessions: Final = Table(
    "legacy_sessions",
    metadata,
    _text("owner", primary_key=True),
    _sealed("token"),
    Column("expires_at", Moment),
    _moment("at"),
)

# Hashes of earlier releases whose rows have moved to the owner's hash (CONTRACT N06).
owner_aliases: Final = Table(
    "owner_aliases",
    metadata,
    _text("alias", primary_key=True),
    Column("owner", String, nullable=False, index=True),
)

pairs: Final = Table(
    "pairs",
    metadata,
    _text("control_id", primary_key=True),
    Column("candidate_id", String, nullable=False, unique=True),
    _text("owner"),
    _moment("at"),
)

shadow_budget: Final = Table(
    "shadow_budget",
    metadata,
    _text("day", primary_key=True),
    _text("route", primary_key=True),
    Column("used", _BIG, nullable=False),
)

# The whole state of the modes: the newest row of each (route, scope) is in force.
overrides: Final = Table(
    "overrides",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    _moment("at"),
    _text("actor"),
    _text("route"),
    _text("scope"),
    _sealed("organization", nullable=True),
    Column("mode", String),
    Column("percent", Float),
    Column("until", Moment),
    _text("reason"),
    Column("undoes", Integer),
    Index(None, "route", "scope"),
)

processes: Final = Table(
    "processes",
    metadata,
    _text("id", primary_key=True),
    _text("name"),
    _moment("started_at"),
    _moment("seen_at"),
    Column("revision", Integer, nullable=False),
    _text("mappings"),
    Column("rejected", JSON, nullable=False),
    Column("keys", JSON),
    Column("changes", _BIG),
    Column("about", JSON),
)

# The changes that end cached values (see `Changes`).
changes: Final = Table(
    "changes",
    metadata,
    Column("revision", _BIG, primary_key=True),
    _text("subject"),
)

comparisons: Final = Table(
    "comparisons",
    metadata,
    _text("day", primary_key=True),
    _text("route", primary_key=True),
    _text("organization", primary_key=True),
    _text("outcome", primary_key=True),
    _text("mapping", primary_key=True),
    Column("count", _BIG, nullable=False),
    Index(None, "route", "mapping", "outcome", "day", "count"),
)

# The outcomes of canaries in steps of time, counted since a revision of the override.
canary_counts: Final = Table(
    "canary_counts",
    metadata,
    _text("route", primary_key=True),
    _text("scope", primary_key=True),
    _text("kind", primary_key=True),
    Column("since", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, primary_key=True),
    Column("count", _BIG, nullable=False),
    Column("bad", _BIG, nullable=False),
)

differences: Final = Table(
    "differences",
    metadata,
    _text("route", primary_key=True),
    _text("path", primary_key=True),
    _text("kind", primary_key=True),
    _text("control_type", primary_key=True),
    _text("candidate_type", primary_key=True),
    _text("mapping", primary_key=True),
    _text("organization", primary_key=True),
    Column("count", _BIG, nullable=False),
    Column("sample", JSON, nullable=False),
    _moment("first_seen"),
    _moment("last_seen"),
)

# The reasons that operators gave for differences.
explanations: Final = Table(
    "explanations",
    metadata,
    _text("route", primary_key=True),
    _text("path", primary_key=True),
    _text("kind", primary_key=True),
    _text("control_type", primary_key=True),
    _text("candidate_type", primary_key=True),
    _text("reason"),
    _text("actor"),
    _moment("at"),
)

learned: Final = Table(
    "learned",
    metadata,
    _text("route", primary_key=True),
    _text("side", primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    _text("content_type", primary_key=True),
    _text("path", primary_key=True),
    _text("type", primary_key=True),
    Column("count", _BIG, nullable=False),
    _moment("first_seen"),
    _moment("last_seen"),
)

clients: Final = Table(
    "clients",
    metadata,
    _text("id", primary_key=True),
    _text("key"),
    _text("user"),
    _text("organization_hash"),
    _sealed("organization"),
    _sealed("agent"),
    _moment("first_seen"),
    _moment("last_seen"),
)

ledger: Final = Table(
    "ledger",
    metadata,
    _text("client", primary_key=True),
    _text("day", primary_key=True),
    _text("route", primary_key=True),
    _text("mode", primary_key=True),
    Column("status", Integer, primary_key=True, autoincrement=False),
    _text("side", primary_key=True),
    Column("count", _BIG, nullable=False),
)

# The counts of answers, comparisons and latencies in steps of time: `step` is their length in seconds. A
# column `ms_100` has the answers that took at most 100 ms, and longer than the column before it.
series: Final = Table(
    "series",
    metadata,
    Column("step", SmallInteger, primary_key=True, autoincrement=False),
    _text("route", primary_key=True),
    Column("at", Moment, primary_key=True),
    _text("mode", primary_key=True),
    _text("side", primary_key=True),
    *(Column(name, _BIG, nullable=False) for name in ("count", "errors", "compared", "differing")),
    *(Column(name, _BIG, nullable=False) for name in LATENCIES),
)

requests: Final = Table(
    "requests",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("request_id", String, nullable=False, index=True),
    _moment("at"),
    Column("story", JSON, nullable=False),
    _later("route"),
    _later("organization"),
    _later("side"),
    _later("cause"),
    Column("status", Integer, nullable=False, server_default="0"),
    Column("milliseconds", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Index(None, "failed", "id"),
)

# The logged-in operators of the page, by the hash of what their browser sends.
page_sessions: Final = Table(
    "page_sessions",
    metadata,
    _text("token_hash", primary_key=True),
    _text("actor"),
    _text("operator"),  # the hash of the token that the operator logged in with
    _moment("created_at"),
    _moment("expires_at"),
)

# The alerts that one of the processes has sent, so that no other one sends them again.
alerts: Final = Table("alerts", metadata, _text("key", primary_key=True), _moment("at"))

contract_runs: Final = Table(
    "contract_runs",
    metadata,
    Column("id", _BIG, primary_key=True),
    _moment("at"),
    _text("target"),
    _text("route"),
    Column("passed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("not_applicable", Integer, nullable=False),
)

# Webhooks on their way to the operator's own consumer; a sent one has no contents any more.
deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", _BIG, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("report_id", String),
    Column("case_id", String, index=True),
    _moment("received_at"),
    _text("state"),
    Column("attempts", Integer, nullable=False),
    _moment("next_at"),
    _sealed("headers", nullable=True),
    _sealed("body", nullable=True),
    Index(None, "state", "next_at"),
    Index(None, "report_id", "state"),
    sqlite_autoincrement=True,  # a number is never used again: a late caller must not hit another delivery
)

SEALED: Final[Mapping[Table, Sequence[Column[Any]]]] = {
    table: columns
    for table in metadata.sorted_tables
    if (columns := [column for column in table.columns if _SEALED in column.info])
}
