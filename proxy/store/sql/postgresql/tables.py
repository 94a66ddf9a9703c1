"""Defines the tables by which processes on several machines find each other; only PostgreSQL has them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    String,
    Table,
    func,
)

from proxy.store.sql.tables import metadata as store_metadata

cluster_metadata: Final = MetaData(naming_convention=store_metadata.naming_convention)

_Time: Final = DateTime(timezone=True)  # the database's clock decides, and writes its own type

# A lease for each living process: its row ends with it, or a while after its last renewal.
members: Final = Table(
    "members",
    cluster_metadata,
    Column("name", String, primary_key=True),
    Column("until", _Time, nullable=False),
)

# The queue of each lock: the ticket with the lowest number holds it.
tickets: Final = Table(
    "tickets",
    cluster_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", String, nullable=False),
    Column("nonce", String, nullable=False),
    Column("member", ForeignKey("members.name", ondelete="CASCADE"), nullable=False, index=True),
    Index(None, "key", "id"),
)

# Locks whose holder lost its lease: the next holder must not rely on what that one had begun.
lapsed: Final = Table(
    "lapsed",
    cluster_metadata,
    Column("key", String, primary_key=True),
    Column("at", _Time, nullable=False, server_default=func.clock_timestamp()),
)

# Work that one process does for all, from time to time.
jobs: Final = Table(
    "jobs",
    cluster_metadata,
    Column("name", String, primary_key=True),
    Column("next_at", _Time, nullable=False),
)
