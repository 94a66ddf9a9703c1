"""A database of a real PostgreSQL server, and what works with it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from proxy.postgresql_url import parse_postgresql_url
from proxy.store.sql.postgresql.connections import Limits, server_at
from proxy.store.sql.postgresql.database import PostgresqlDatabase, open_postgresql
from tests.postgresql import Postgresql

from .relay import Relay

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[PostgresqlDatabase]]


@pytest.fixture
async def name(postgresql_server: Postgresql) -> AsyncIterator[str]:
    name = await postgresql_server.new()
    yield name
    await postgresql_server.drop(name)


@pytest.fixture
async def admin(postgresql_server: Postgresql, name: str) -> AsyncIterator[Any]:
    """Yields a connection of the superuser."""
    async with postgresql_server.admin(name) as driver:
        yield driver


@pytest.fixture
def open_at(postgresql_server: Postgresql, name: str) -> Open:
    """Opens the database, through a `port` of somebody between if need be."""

    @asynccontextmanager
    async def opening(
        pool: int = 4, port: int | None = None, **limits: float
    ) -> AsyncIterator[PostgresqlDatabase]:
        url = parse_postgresql_url(postgresql_server.url(name, port=port))
        server = server_at(url, limits=Limits(**limits))
        async with open_postgresql(server.engine(), pool, limits=server.limits) as database:
            yield database

    return opening


@pytest.fixture
async def database(open_at: Open) -> AsyncIterator[PostgresqlDatabase]:
    async with open_at() as database:
        yield database


@pytest.fixture
async def relay(postgresql_server: Postgresql) -> AsyncIterator[Relay]:
    async with Relay(postgresql_server.port).running() as relay:
        yield relay
