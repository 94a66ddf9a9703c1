"""A store on each engine, fresh for each test."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from proxy.store import Store
from tests.stores import EngineName, engine

from .examples import opened

__all__ = ["engine", "statements", "store"]


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Yields the statements to SQLite on connections that are opened while the test runs.

    It comes before the store's fixture.
    """
    seen: list[str] = []

    def trace(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(seen.append)

    event.listen(Engine, "connect", trace)
    yield seen
    event.remove(Engine, "connect", trace)


@pytest.fixture
async def store(tmp_path: Path, engine: EngineName) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store
