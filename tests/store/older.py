"""Makes a store as an older release left it: rows under that release's schema, edited, sealed by Fernet."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from alembic import command
from alembic.config import Config
from cryptography.fernet import Fernet
from sqlalchemy import MetaData, create_engine, insert

from proxy.store.sealing.contexts import NATURAL_KEYS, Context, SealedColumn, named_context
from proxy.store.sealing.keyring import Keyring
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.engines import migration_engine
from proxy.store.sql.tables import SEALED

Row: TypeAlias = dict[str, Any]
# What becomes of a row of a table.
Edit: TypeAlias = Callable[[str, Row], Row]

_NAME: Final = "michiq.db"
# The columns that 0013 added, and those that it added to keys.
_ADDED: Final = {
    "journal": "request_id organization resolution",
    "links": "request_id organization resolution",
    "processes": "about",
    "requests": "route organization side cause status milliseconds failed",
}
_KEYED: Final = {"comparisons": "mapping", "differences": "mapping organization", "ledger": "side"}


class FernetSealer(Sealer):
    """A sealer of releases that bound a value to no row, under one key."""

    def __init__(self, key: str, pepper: bytes) -> None:
        super().__init__([key], pepper, takes_fernet=True)
        self._old = Fernet(key)

    def seal(self, plain: bytes, context: Context) -> bytes:
        return self._old.encrypt(plain)


def made_old(new: Path, old: Path, revision: str, edit: Edit, key: str) -> None:
    """Fills a database of the `revision` in `old` with the rows of the one in `new`, which is under the key.
    Blocks."""
    old.mkdir(exist_ok=True)
    engine, config = migration_engine(old / _NAME), Config()
    config.set_main_option("script_location", "proxy.store.sql:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    with create_engine(f"sqlite:///{old / _NAME}").begin() as connection:
        schema = MetaData()
        schema.reflect(connection)
        for table in schema.sorted_tables:
            if table.name != "alembic_version":
                names = table.columns.keys()
                for row in _unbound(table.name, _rows(new / _NAME, table.name), key):
                    kept = {name: value for name, value in edit(table.name, row).items() if name in names}
                    connection.execute(insert(table).values(kept))


def as_of(connection: sqlite3.Connection, revision: str) -> None:
    """Takes a database of this release back to revision 0010 or 0011, which have the same tables."""
    _without_operations(connection)
    connection.executescript(
        "DROP TABLE canary_counts; DROP INDEX ix_links_state; ALTER TABLE links DROP COLUMN attempt"
    )
    connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.commit()


def _without_operations(connection: sqlite3.Connection) -> None:
    """Undoes 0013."""
    for table in ("explanations", "series", "page_sessions", "alerts"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DROP INDEX ix_requests_failed_id")
    for table, added in _ADDED.items():
        for column in added.split():
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    for table, new in _KEYED.items():
        rows = connection.execute(f"PRAGMA table_info({table})").fetchall()
        rest = [(name, kind, is_key) for _, name, kind, _, _, is_key in rows if name not in new.split()]
        names = ", ".join(name for name, _, _ in rest)
        columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind, _ in rest)
        key = ", ".join(name for name, _, is_key in rest if is_key)
        connection.executescript(
            f"CREATE TABLE old ({columns}, CONSTRAINT pk_{table} PRIMARY KEY ({key})); "
            f"INSERT INTO old SELECT {names} FROM {table}; "
            f"DROP TABLE {table}; ALTER TABLE old RENAME TO {table}"
        )


def _unbound(table: str, rows: list[Row], key: str) -> list[Row]:
    """Returns the rows with their sealed values as Fernet's."""
    keyring, old = Keyring([key], takes_fernet=False), Fernet(key)
    if table == "meta":
        pepper = named_context("pepper")
        return [
            {**row, "value": old.encrypt(keyring.open(row["value"], pepper))}
            if row["name"] == "pepper"
            else row
            for row in rows
            if row["name"] != "fernet_refused"
        ]
    for own, columns in SEALED.items():
        for column in columns if own.name == table else ():
            for row in rows:
                if (sealed := row[column.name]) is not None:
                    context = SealedColumn(column).at(*(row[each.name] for each in NATURAL_KEYS[own]))
                    row[column.name] = old.encrypt(keyring.open(sealed, context))
    return rows


def _rows(path: Path, table: str) -> list[Row]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        rows = connection.execute(f'SELECT * FROM "{table}"').fetchall() if known else []
        return [dict(row) for row in rows]


def kept(path: Path, table: str) -> list[Mapping[str, Any]]:
    """Returns the rows of a table as another process sees them."""
    return [*_rows(path / _NAME, table)]
