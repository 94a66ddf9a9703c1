"""A store to copy, and empty ones of each kind to copy it into."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import asyncpg
import pytest

from proxy.store import Store, StoreOptions, open_store
from proxy.store.audit.request_traces import RequestTrace
from proxy.store.blobs.opening import Surroundings
from proxy.store.copies import opened_copy
from proxy.store.upkeep.copying import Copied, Progress
from proxy.values import Chunk
from tests.postgresql import Postgresql
from tests.store.examples import KEY, NOW, OWNER
from tests.store.filled import fill
from tests.stores import sqlite_in

Kind: TypeAlias = Literal["here", "there"]
# More rows than a page has.
_TRACES: Final = 1500
_LARGE: Final = 6 * 1024 * 1024  # more than one request takes to S3


@dataclass(frozen=True)
class Stores:
    """The stores of a test: SQLite and a folder are `here`, PostgreSQL and S3 are `there`."""

    folder: Path
    server: Postgresql
    s3_url: str
    databases: list[str] = field(default_factory=list)

    def options(self, kind: Kind, name: str = "target") -> StoreOptions:
        if kind == "here":
            return sqlite_in(self.folder / name)
        url = self.server.url(self._database(name))
        blobs = self.s3_url.replace("?", f"/{name}?")
        return StoreOptions(database_url=url, blobs_url=blobs, here=Surroundings(os.environ))

    async def make(self, name: str = "target") -> None:
        """Makes an empty database on the server."""
        self.databases.append(await self.server.new(template="template0"))
        async with self.server.admin() as driver:
            await driver.execute(f"ALTER DATABASE {self.databases[-1]} RENAME TO {self._database(name)}")
        self.databases[-1] = self._database(name)

    def _database(self, name: str) -> str:
        return f"copies_{os.getpid()}_{name}"


@pytest.fixture
async def stores(tmp_path: Path, postgresql_server: Postgresql, s3_url: str) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, postgresql_server, s3_url)
    await made.make()
    yield made
    for name in made.databases:
        await postgresql_server.drop(name)


@pytest.fixture
async def source(stores: Stores) -> StoreOptions:
    """Returns the options of a closed store `here` with a row in nearly every table, and some blobs."""
    options = stores.options("here", "source")
    async with open_store(options, [KEY]) as store:
        await fill(store)
        await add_blobs(store, 0, 3, 100_000)
    return options


@pytest.fixture
async def large_source(source: StoreOptions) -> StoreOptions:
    """Returns the same with more rows than a page has, and a blob that S3 takes in parts only."""
    async with open_store(source, [KEY]) as store:
        traces = [RequestTrace("request", NOW, {"number": number}) for number in range(_TRACES)]
        await store.evidence.add(stories=traces, at=NOW)
        await add_blobs(store, _LARGE)
    return source


async def add_blobs(store: Store, *sizes: int) -> None:
    """Adds a recording with chunks of these sizes."""
    about: Any = {"filename": "a.webm", "content_type": "audio/webm", "container": "webm"}
    for number, size in enumerate(sizes):
        async with store.blobs.writer() as writer:
            await writer.write(bytes(size))
            name, key = await writer.commit()
        added = Chunk(name, key, size, f"{size:064x}")
        await store.recordings.add_chunk(OWNER, "case-1", added, opens=not number, at=NOW, **about)


def nothing(_progress: Progress) -> None:
    """Ignores the progress."""


async def copy(
    source: StoreOptions, target: StoreOptions, report: Callable[[Progress], None] = nothing
) -> Copied:
    async with opened_copy(source, target, [KEY]) as copying:
        return await copying.run(report)


def tamper(options: StoreOptions, statement: str) -> list[Any]:
    """Runs a statement past the store, even while its loop runs; returns the rows that it finds."""
    if options.postgresql is None:
        with closing(sqlite3.connect(_file(options), timeout=0)) as connection, connection:
            connection.execute("DROP TRIGGER IF EXISTS audit_no_update")
            return connection.execute(statement).fetchall()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _as_superuser(options.database_url, statement)).result()


async def _as_superuser(url: str, statement: str) -> list[Any]:
    driver = await asyncpg.connect(url)
    try:
        await driver.execute("SET session_replication_role = replica; SET lock_timeout = '10ms'")
        return [tuple(row) for row in await driver.fetch(statement)]
    finally:
        await driver.close()


def blobs_of(options: StoreOptions) -> list[Path]:
    """Returns the files of a folder's blobs, the largest first."""
    found = Path(options.blobs_url.removeprefix("file:")).glob("[0-9a-f][0-9a-f]/*")
    return sorted(found, key=lambda path: -path.stat().st_size)


def content_of(options: StoreOptions) -> dict[str, Any]:
    """Returns all that SQLite and the folder have, but which processes served."""
    with closing(sqlite3.connect(_file(options))) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}
    del rows["processes"]
    tables = {name: sorted(map(repr, own)) for name, own in rows.items()}
    return tables | {"blobs": {path.name: path.read_bytes() for path in blobs_of(options)}}


def _file(options: StoreOptions) -> str:
    return options.database_url.removeprefix("sqlite:///")
