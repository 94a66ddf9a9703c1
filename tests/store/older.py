"""A store as an older release left it: its rows under that release's schema, rules of its own on top."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, create_engine, insert

from proxy.store.engines import migration_engine

Row: TypeAlias = dict[str, Any]
# What becomes of a row of a table.
Edit: TypeAlias = Callable[[str, Row], Row]

_NAME: Final = "michiq.db"


def made_old(new: Path, old: Path, revision: str, edit: Edit) -> None:
    """Fills a database of the `revision` in `old` with the rows of the one in `new`. Blocks."""
    old.mkdir(exist_ok=True)
    engine, config = migration_engine(old / _NAME), Config()
    config.set_main_option("script_location", "proxy.store:migrations")
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
                for row in _rows(new / _NAME, table.name):
                    kept = {name: value for name, value in edit(table.name, row).items() if name in names}
                    connection.execute(insert(table).values(kept))


def _rows(path: Path, table: str) -> list[Row]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        rows = connection.execute(f'SELECT * FROM "{table}"').fetchall() if known else []
        return [dict(row) for row in rows]


def kept(path: Path, table: str) -> list[Mapping[str, Any]]:
    """The rows of a table as another process sees them."""
    return [*_rows(path / _NAME, table)]
