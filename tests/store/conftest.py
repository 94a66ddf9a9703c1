"""A store on real files, fresh for each test."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from proxy.store import Store

from .examples import opened


@pytest.fixture
def writes() -> Iterator[list[str]]:
    """One item for each transaction that may write, of the connections that are opened while the test runs:
    it comes before the store's fixture."""
    seen: list[str] = []

    def note(said: str) -> None:
        if said == "BEGIN IMMEDIATE":
            seen.append(said)

    def trace(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(note)

    event.listen(Engine, "connect", trace)
    yield seen
    event.remove(Engine, "connect", trace)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path) as store:
        yield store
