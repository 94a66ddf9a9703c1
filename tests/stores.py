"""The stores that tests use: by default in SQLite, and on PostgreSQL where a test has the fixture for it."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import pytest
from sqlalchemy import Connection, Row, create_engine, text

from proxy.postgresql_url import parse_postgresql_url
from proxy.store import StoreOptions
from proxy.store.sql.postgresql.connections import server_at
from tests.postgresql import Postgresql

T = TypeVar("T")
EngineName: TypeAlias = Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Copied:
    """A closed store's database: the bytes of SQLite's file, or the name of a database."""

    of: bytes | str


class Engines:
    """The engine of the test that runs now, and its databases, one for each folder."""

    def __init__(self) -> None:
        self.server: Postgresql | None = None
        self.blobs_url: str | None = None
        self.databases: dict[Path, str] = {}
        self.unused = False
        self._changed: set[str] = set()

    @contextmanager
    def on(self, server: Postgresql | None, blobs_url: str | None = None) -> Iterator[None]:
        """Uses this server while the block runs; None for SQLite, and for a folder."""
        self.server, self.blobs_url = server, blobs_url
        try:
            yield
        finally:
            self.server = self.blobs_url = None
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
        return StoreOptions(database_url=url, blobs_url=self.blobs_url or f"file:{folder}/blobs")

    def outside(self, folder: Path, work: Callable[[Connection], T]) -> T:
        """Runs a unit of work past the store: as whoever has SQLite's file, or is PostgreSQL's superuser.

        No trigger and no foreign key holds it up. It may be called while the loop runs: it blocks.
        """
        if self.server is None:
            return _in_file(folder / "michiq.db", work)
        with ThreadPoolExecutor(1) as thread:
            url = self.server.url(self.databases[folder])
            return thread.submit(asyncio.run, _as_superuser(url, work)).result()

    def tamper(self, folder: Path, *statements: str) -> None:
        """Changes the rows past the store, or the schema."""
        self._changed.add(self.databases.get(folder, ""))
        self.outside(folder, lambda conn: [conn.exec_driver_sql(each) for each in statements])

    def rows(self, folder: Path, query: str) -> list[Row[Any]]:
        """Returns what a query finds past the store."""
        return self.outside(folder, lambda conn: [*conn.execute(text(query))])

    async def end_sessions(self, folder: Path) -> None:
        """Ends what PostgreSQL still does for processes that were killed."""
        if self.server is not None:
            await self.server.terminate(self.databases[folder])

    async def bytes_of(self, folder: Path) -> bytes:
        """Returns all bytes that the store has written, PostgreSQL's tables included."""
        return b"".join([path.read_bytes() for path in _files(folder)] + await self._server_bytes(folder))

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


def _in_file(path: Path, work: Callable[[Connection], T]) -> T:
    engine = create_engine(f"sqlite:///{path}")
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
