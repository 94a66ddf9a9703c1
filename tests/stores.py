"""The stores that tests use: by default in SQLite, and on PostgreSQL where a test has the fixture for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from proxy.store import StoreOptions
from tests.postgresql import Postgresql

EngineName: TypeAlias = Literal["sqlite", "postgresql"]


class Engines:
    """The engine of the test that runs now, and its databases, one for each folder."""

    def __init__(self) -> None:
        self.server: Postgresql | None = None
        self.blobs_url: str | None = None
        self.databases: dict[Path, str] = {}

    @contextmanager
    def on(self, server: Postgresql | None, blobs_url: str | None = None) -> Iterator[None]:
        """Uses this server while the block runs; None for SQLite, and for a folder."""
        self.server, self.blobs_url = server, blobs_url
        try:
            yield
        finally:
            self.server = self.blobs_url = None
            if server is not None:
                asyncio.run(self._drop(server))

    async def options(self, folder: Path) -> StoreOptions:
        """The options of the folder's store, whose database is made if need be."""
        if self.server is None:
            return sqlite_in(folder)
        if folder not in self.databases:
            self.databases[folder] = await self.server.new()
        url = self.server.url(self.databases[folder])
        return StoreOptions(database_url=url, blobs_url=self.blobs_url or f"file:{folder}/blobs")

    async def _drop(self, server: Postgresql) -> None:
        for name in self.databases.values():
            await server.drop(name)
        self.databases.clear()


ENGINES = Engines()


def sqlite_in(folder: Path | str = "var") -> StoreOptions:
    """A store of SQLite and a folder, in a folder of its own; by default that of the default settings."""
    return StoreOptions(database_url=f"sqlite:///{folder}/michiq.db", blobs_url=f"file:{folder}/blobs")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[EngineName]:
    """Runs the test on each engine: `tests.store.examples.opened` opens it."""
    name: EngineName = request.param
    server = request.getfixturevalue("postgresql_server") if name == "postgresql" else None
    with ENGINES.on(server):
        yield name
