"""A store on each engine, fresh for each test."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, Engine, event

from proxy.store import Store
from proxy.store.sql.dialects import POSTGRESQL
from tests.stores import EngineName, engine, unused_files

from .examples import opened

__all__ = ["engine", "statements", "store", "unused_files"]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yields the statements on connections that are opened while the test runs.

    It comes before the store's fixture.
    """
    seen: list[str] = []

    def trace(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(seen.append)

    def prepared(
        conn: Connection, _cursor: object, said: str, _values: object, _context: object, many: bool
    ) -> None:
        if conn.dialect.name == POSTGRESQL and not many:
            seen.append(said)

    for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
        monkeypatch.setattr(asyncpg.Connection, name, _seeing(getattr(asyncpg.Connection, name), seen))
    listening: dict[str, Callable[..., None]] = {"connect": trace, "before_cursor_execute": prepared}
    for name, listener in listening.items():
        event.listen(Engine, name, listener)
    yield seen
    for name, listener in listening.items():
        event.remove(Engine, name, listener)


def _seeing(method: Callable[..., Any], seen: list[str]) -> Callable[..., Any]:
    def seeing(driver: object, said: str, *values: Any, **more: Any) -> Any:
        seen.append(said)
        return method(driver, said, *values, **more)

    return seeing


def writes_in(statements: Sequence[str], engine: EngineName) -> int:
    """Returns how many transactions began that may write."""
    begins = "BEGIN IMMEDIATE" if engine == "sqlite" else "BEGIN"
    return [each.partition("; ")[0] for each in statements].count(begins)


@pytest.fixture
async def store(tmp_path: Path, engine: EngineName) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store
