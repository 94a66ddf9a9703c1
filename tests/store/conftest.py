"""A store on each engine, fresh for each test."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from proxy.store import Store
from proxy.store.sql.postgresql.connections import Server
from tests.stores import EngineName, engine

from .examples import opened

__all__ = ["engine", "statements", "store"]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yields the statements on connections that are opened while the test runs.

    It comes before the store's fixture.
    """
    seen: list[str] = []

    def trace(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(seen.append)

    connect = Server.connect

    async def traced(server: Server) -> Any:
        driver = await connect(server)
        driver.add_query_logger(lambda query: seen.append(query.query))
        return driver

    event.listen(Engine, "connect", trace)
    monkeypatch.setattr(Server, "connect", traced)
    yield seen
    event.remove(Engine, "connect", trace)


@pytest.fixture
async def store(tmp_path: Path, engine: EngineName) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store
