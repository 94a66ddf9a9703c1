"""The store of a proxy under load, and very many cases in it: in SQLite, or in PostgreSQL."""

import asyncio
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from tests.postgresql import Postgresql

_TABLES: Final = ("cases", "case_files", "journal", "homes", "conversations")
_CASE_COLUMNS: Final = frozenset({"id", "case_id", "legacy_id"})


class Stored(Protocol):
    """A store that no proxy has open. Its methods block."""

    @property
    def folder(self) -> Path: ...

    @property
    def environ(self) -> Mapping[str, str]:
        """Returns the settings that name the store, over those of its folder."""
        ...

    def copy(self, folder: Path) -> "Stored": ...

    def multiply(self, case_id: str, count: int, of_each: int) -> None:
        """Copies the rows of a case under new ids, and under new owners with `of_each` cases."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class InFile:
    """A store in SQLite (`Stored`)."""

    folder: Path

    @property
    def environ(self) -> Mapping[str, str]:
        return {}

    def copy(self, folder: Path) -> "InFile":
        return InFile(shutil.copytree(self.folder, folder))

    def multiply(self, case_id: str, count: int, of_each: int) -> None:
        values = {
            "case": "printf('%08x-0000-4000-9000-%012x', n, n)",
            "owner": f"printf('%032x', n / {of_each})",
        }
        numbers = (
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
        )
        with closing(sqlite3.connect(self.folder / "michiq.db")) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            (before,) = connection.execute("SELECT count(*) FROM cases").fetchone()
            for table in _TABLES:
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                statement = f"{numbers.format(count=count)} {_copying(table, columns, values, 'numbers')}"
                connection.execute(statement.replace("$1", "?"), (case_id,))
            (found,) = connection.execute("SELECT count(*) FROM cases").fetchone()
        _check(found - before, count)

    def close(self) -> None:
        shutil.rmtree(self.folder)


@dataclass(frozen=True, slots=True)
class InServer:
    """A store in a database of PostgreSQL (`Stored`)."""

    folder: Path
    server: Postgresql
    name: str

    @property
    def environ(self) -> Mapping[str, str]:
        return {"MICHIQ_DATABASE_URL": self.server.url(self.name)}

    def copy(self, folder: Path) -> "InServer":
        shutil.copytree(self.folder, folder)
        return InServer(folder, self.server, asyncio.run(self.server.new(template=self.name)))

    def multiply(self, case_id: str, count: int, of_each: int) -> None:
        asyncio.run(self._multiply(case_id, count, of_each))

    async def _multiply(self, case_id: str, count: int, of_each: int) -> None:
        values = {
            "case": "lpad(to_hex(n), 8, '0') || '-0000-4000-9000-' || lpad(to_hex(n), 12, '0')",
            "owner": f"lpad(to_hex(n / {of_each}), 32, '0')",
        }
        columns_of = "SELECT column_name FROM information_schema.columns WHERE table_name = $1"
        async with self.server.admin(self.name) as driver:
            before = await driver.fetchval("SELECT count(*) FROM cases")
            for table in _TABLES:
                columns = [row[0] for row in await driver.fetch(columns_of, table)]
                statement = _copying(table, columns, values, f"generate_series(1, {count}) AS numbers(n)")
                await driver.execute(statement, case_id, timeout=None)
            await driver.execute("VACUUM ANALYZE", timeout=None)
            _check(await driver.fetchval("SELECT count(*) FROM cases") - before, count)

    def close(self) -> None:
        shutil.rmtree(self.folder)
        asyncio.run(self.server.drop(self.name))


def _copying(table: str, columns: Sequence[str], values: Mapping[str, str], numbers: str) -> str:
    """Returns the INSERT of the case $1, once for each n of `numbers`."""
    key = next(each for each in ("case_id", "legacy_id", "id") if each in columns)
    copied = ", ".join(_value(column, values) for column in columns)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "
        f"SELECT {copied} FROM {numbers} CROSS JOIN (SELECT * FROM {table} WHERE {key} = $1) AS one"
    )


def _value(column: str, values: Mapping[str, str]) -> str:
    if column in _CASE_COLUMNS:
        return values["case"]
    # A key is the case's own: a freed one is NULL.
    return "NULL" if column == "idempotency" else values.get(column, column)


def _check(made: Any, count: int) -> None:
    if made != count:
        raise RuntimeError(f"{made} cases were added, not {count}")
