"""The stores that tests use: by default in SQLite, and on PostgreSQL where a test has the fixture for it."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias, TypeVar
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, create_engine

from proxy.postgresql_url import parse_postgresql_url
from proxy.store import StoreOptions
from proxy.store.blobs.opening import Surroundings
from proxy.store.sql.postgresql.connections import server_at
from tests.postgresql import Postgresql, postgresql
from tests.seaweedfs import CREDENTIALS, SeaweedFS, own_seaweedfs

T = TypeVar("T")
EngineName: TypeAlias = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Copied:
    """A closed store's database: the bytes of SQLite's file, or the name of a database."""

    of: bytes | str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A test's part of an S3 store; each folder's blobs are under a prefix of their own."""

    server: SeaweedFS
    prefix: str

    def url(self, folder: Path) -> str:
        return self.server.url(self._prefix(folder))

    async def blobs(self, folder: Path) -> dict[str, bytes]:
        prefix = f"{self._prefix(folder)}/"
        async with self.server.client() as raw:
            stored = {name: await raw.call("GET", name) for name in await raw.names(prefix)}
            return stored | dict.fromkeys(await raw.uploads(prefix), b"")

    def _prefix(self, folder: Path) -> str:
        return f"{self.prefix}/{sha256(bytes(folder)).hexdigest()[:16]}"


class Engines:
    """The engine of the test that runs now, and its databases, one for each folder."""

    def __init__(self) -> None:
        self.server: Postgresql | None = None
        self.bucket: Bucket | None = None
        self.databases: dict[Path, str] = {}
        self.unused = False
        self._changed: set[str] = set()

    @contextmanager
    def on(self, server: Postgresql | None, bucket: Bucket | None = None) -> Iterator[None]:
        """Uses this server while the block runs; None for SQLite, and for a folder."""
        self.server, self.bucket = server, bucket
        try:
            yield
        finally:
            self.server = self.bucket = None
            self.unused = False
            if server is not None:
                self._give_back(server)

    async def options(self, folder: Path) -> StoreOptions:
        """The options of the folder's store, whose database is made if need be."""
        if self.server is None:
            return sqlite_in(folder)
        if folder not in self.databases:
            making = self.server.new if self.unused else self.server.used_again
            self.databases[folder] = await making()
        url = self.server.url(self.databases[folder])
        blobs_url = self.bucket.url(folder) if self.bucket else f"file:{folder}/blobs"
        here = Surroundings(os.environ)
        return StoreOptions(database_url=url, blobs_url=blobs_url, here=here)

    async def environ(self, folder: Path) -> dict[str, str]:
        """Returns the settings of the folder's store, for a command beside its proxy."""
        stored = await self.options(folder)
        return {"MICHIQ_DATABASE_URL": stored.database_url, "MICHIQ_BLOBS_URL": stored.blobs_url}

    def outside(self, folder: Path, work: Callable[[Connection], T]) -> T:
        """Runs a unit of work past the store: as whoever has SQLite's file, or is PostgreSQL's superuser.

        No trigger and no foreign key holds it up. It may be called while the loop runs: it blocks.
        """
        if self.server is None:
            return _in_file(folder / "michiq.db", work)
        return _blocking(_as_superuser(self.server.url(self.databases[folder]), work))

    async def pass_lease(self, folder: Path) -> None:
        """Ends the leases of killed processes at once: others would do so within seconds."""
        if self.server is not None:
            await self.end_sessions(folder)
            past = "clock_timestamp() - interval '1 minute'"
            self.tamper(folder, f"UPDATE members SET until = {past}", f"UPDATE jobs SET next_at = {past}")
            self.rows(folder, "SELECT michiq_reap()")

    def tamper(self, folder: Path, *statements: str) -> None:
        """Changes the rows past the store, or the schema."""
        self._changed.add(self.databases.get(folder, ""))
        self.outside(folder, lambda conn: [conn.exec_driver_sql(each) for each in statements])

    def rows(self, folder: Path, query: str) -> list[tuple[Any, ...]]:
        """Returns what a query finds past the store: what another process would read."""
        if self.server is None:
            with closing(sqlite3.connect(f"file:{folder}/michiq.db?mode=ro", uri=True, timeout=30)) as found:
                return found.execute(query).fetchall()
        return _blocking(self._server_rows(self.server, self.databases[folder], query))

    async def _server_rows(self, server: Postgresql, name: str, query: str) -> list[tuple[Any, ...]]:
        async with server.admin(name) as driver:
            return [tuple(row) for row in await driver.fetch(query)]

    def everything(self, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
        """Returns every row of every table but those that a process renews, and every blob."""
        names = [name for name in self.tables(folder) if name not in ("members", "processes")]
        rows = {name: self.rows(folder, f'SELECT * FROM "{name}"') for name in names}
        # PostgreSQL has no order without a key, and an update moves a row.
        ordered = {name: sorted(found, key=repr) for name, found in rows.items()}
        return {**ordered, "blobs": sorted(self.blobs(folder).items())}

    def tables(self, folder: Path) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        if self.server is not None:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return [str(name) for (name,) in self.rows(folder, query)]

    def blobs(self, folder: Path) -> dict[str, bytes]:
        """Returns the bytes of all blobs by their names, in the folder or the bucket; also the unfinished."""
        if self.bucket is not None:
            return _blocking(self.bucket.blobs(folder))
        return {str(path): path.read_bytes() for path in _files(folder / "blobs")}

    async def end_sessions(self, folder: Path) -> None:
        """Ends what PostgreSQL still does for processes that were killed."""
        if self.server is not None:
            await self.server.terminate(self.databases[folder])

    async def bytes_of(self, folder: Path) -> bytes:
        """Returns all bytes that the store has written: SQLite's files, blobs, and PostgreSQL's tables."""
        blobs = self.blobs(folder).values()
        return b"".join([*_database_files(folder), *blobs, *await self._server_bytes(folder)])

    def copied(self, folder: Path) -> Copied:
        """Returns the database of a closed store; the test's end leaves it."""
        if self.server is None:
            return Copied((folder / "michiq.db").read_bytes())
        return Copied(self.databases.pop(folder))

    async def put_copy(self, copied: Copied, folder: Path) -> None:
        """Makes the folder's database a copy."""
        if self.server is None:
            assert isinstance(copied.of, bytes)
            (folder / "michiq.db").write_bytes(copied.of)
        else:
            self.databases[folder] = await self.server.new(template=str(copied.of))

    async def _server_bytes(self, folder: Path) -> list[bytes]:
        if self.server is None:
            return []
        return await self.server.bytes_of(self.databases[folder])

    def _give_back(self, server: Postgresql) -> None:
        for name in {*self.databases.values()} - self._changed:
            server.give_back(name)
        self.databases.clear()


ENGINES = Engines()


@contextmanager
def replicated() -> Iterator[None]:
    """Puts the stores of all folders on a PostgreSQL and an S3 store of its own while the block runs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="michiq-s3-")))
        server = stack.enter_context(postgresql())
        asyncio.run(server.new())  # with the template of all others, which two must not make at once
        bucket = Bucket(stack.enter_context(own_seaweedfs(folder / "data")), "store")
        stack.enter_context(patch.dict(os.environ, CREDENTIALS))
        stack.enter_context(ENGINES.on(server, bucket))
        yield


def _blocking(work: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end on a loop of its own, also where this thread has one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _in_file(path: Path, work: Callable[[Connection], T]) -> T:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    try:
        with engine.begin() as conn:
            for what in ("update", "delete"):
                conn.exec_driver_sql(f"DROP TRIGGER IF EXISTS audit_no_{what}")
            return work(conn)
    finally:
        engine.dispose()


async def _as_superuser(url: str, work: Callable[[Connection], T]) -> T:
    engine = server_at(parse_postgresql_url(url)).engine().execution_options(isolation_level="READ COMMITTED")
    try:
        async with engine.begin() as conn:
            await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no triggers
            return await conn.run_sync(work)
    finally:
        await engine.dispose()


def _database_files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("michiq.db*") if path.is_file()]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


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


@pytest.fixture
def unused_files(engine: EngineName) -> EngineName:
    """Runs the test on each engine, with no byte of an earlier test in the database's files."""
    ENGINES.unused = True
    return engine
