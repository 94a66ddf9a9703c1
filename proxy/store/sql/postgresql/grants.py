"""Gives the role that serves its rights in PostgreSQL: none of them is a right to change the audit."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from sqlalchemy import Connection, text

from proxy.store.errors import StoreError
from proxy.store.sql.dialects import postgresql
from proxy.store.sql.postgresql.tables import cluster_metadata
from proxy.store.sql.tables import metadata

_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
# What other tables need is _ALL. The history of the modes and the audit are only added to.
_LESS: Final = {"alembic_version": _READ, "audit": _ADD, "overrides": _ADD}
_LONGEST_NAME: Final = 63  # bytes; PostgreSQL cuts a longer one

_ROLE: Final = text("SELECT oid FROM pg_roles WHERE rolname = :role")
_IS_ME: Final = text("SELECT CAST(:role AS name) IN (current_user, session_user)")
# A superuser is a member of every role.
_OWNS: Final = text(
    "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = current_schema() AND c.relname = ANY (:tables) "
    "AND pg_has_role(CAST(:role AS name), c.relowner, 'MEMBER') LIMIT 1"
)
# Of columns that count by themselves.
_SEQUENCES: Final = text(
    "SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid "
    "JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE s.relkind = 'S' AND d.deptype IN ('a', 'i') AND n.nspname = current_schema() "
    "AND c.relname = ANY (:tables) ORDER BY s.relname"
)


def grant(conn: Connection, role: str) -> None:
    """Gives the role the rights to serve, in the connection's transaction, and no others.

    Raises StoreError when the role is not there, or would own the tables all the same.
    """
    tables = tables_of_the_store()
    _refuse(conn, role, tables)
    sequences = conn.execute(_SEQUENCES, {"tables": tables}).scalars().all()
    schema: str = conn.execute(text("SELECT current_schema()")).scalar_one()
    for statement in statements(schema, role, tables, sequences):
        conn.exec_driver_sql(statement)


def tables_of_the_store() -> list[str]:
    return sorted({*metadata.tables, *cluster_metadata.tables, "alembic_version"})


def statements(schema: str, role: str, tables: Collection[str], sequences: Collection[str]) -> Iterator[str]:
    """Yields the statements. A name is quoted as PostgreSQL reads it; none of them is a parameter there."""
    quoted = postgresql().identifier_preparer.quote_identifier
    inside, to = quoted(schema), quoted(role)
    yield f"REVOKE ALL ON SCHEMA {inside} FROM {to}"
    yield f"GRANT USAGE ON SCHEMA {inside} TO {to}"
    for table in tables:
        yield f"REVOKE ALL ON TABLE {inside}.{quoted(table)} FROM PUBLIC, {to}"
        yield f"GRANT {_LESS.get(table, _ALL)} ON TABLE {inside}.{quoted(table)} TO {to}"
    for sequence in sequences:
        yield f"REVOKE ALL ON SEQUENCE {inside}.{quoted(sequence)} FROM PUBLIC, {to}"
        yield f"GRANT USAGE ON SEQUENCE {inside}.{quoted(sequence)} TO {to}"


def _refuse(conn: Connection, role: str, tables: Collection[str]) -> None:
    """Raises StoreError when rights can't keep the role from the audit."""
    asked: dict[str, Any] = {"role": role, "tables": [*tables]}
    if len(role.encode()) > _LONGEST_NAME or conn.execute(_ROLE, {"role": role}).first() is None:
        raise StoreError("--serving-role: there is no such role; CREATE ROLE makes it")
    if conn.execute(_IS_ME, {"role": role}).scalar_one():
        raise StoreError(
            "--serving-role: this is the role that migrates; the proxy needs another one to serve"
        )
    if conn.execute(_OWNS, asked).first() is not None:
        raise StoreError(
            "--serving-role: the role is a superuser, owns the tables or is a member of their owner; nothing "
            "keeps it from the audit; give the proxy another role"
        )
