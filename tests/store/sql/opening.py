"""Opens a database without its store, on the engine of the test that runs."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.postgresql_url import parse_postgresql_url
from proxy.store.sql.database import Database
from proxy.store.sql.postgresql.connections import server_at
from proxy.store.sql.postgresql.database import open_postgresql
from proxy.store.sql.sqlite import open_database
from tests.stores import ENGINES, EngineName


@asynccontextmanager
async def opened_database(
    folder: Path, engine: EngineName, forget: Callable[[Sequence[str]], None] = lambda _: None
) -> AsyncIterator[Database]:
    """Opens the folder's database."""
    if engine == "sqlite":
        async with open_database(folder / "michiq.db", forget) as in_file:
            yield in_file
        return
    options = await ENGINES.options(folder)
    server = server_at(parse_postgresql_url(options.database_url))
    async with open_postgresql(server.engine(), options.pool, forget) as on_server:
        yield on_server
