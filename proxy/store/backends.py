"""Opens the engine that MICHIQ_DATABASE_URL names, and the presence and locks that go with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection

from proxy.concurrency.locks import Locks
from proxy.postgresql_url import PostgresqlUrl
from proxy.store.errors import StoreError, because
from proxy.store.locations import database_path, make_private
from proxy.store.options import StoreOptions
from proxy.store.presence import FilePresence, Presence, present
from proxy.store.sql.database import Database
from proxy.store.sql.dialects import OVERRIDDEN
from proxy.store.sql.memory import Memory
from proxy.store.sql.migrate import migrate
from proxy.store.sql.schema import Migrated
from proxy.store.sql.sqlite import open_database
from proxy.store.stillness import Check, nothing_held, still_sqlite

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from proxy.store.sql.postgresql.connections import Server


class Jobs(Protocol):
    """Work that is done from time to time, and by which process."""

    async def claim(self, name: str, every_seconds: float) -> bool:
        """Returns whether this process does the job now; no other one does within that time.

        Raises StoreError.
        """
        ...


class OwnJobs:
    """The jobs of a process on a machine of its own: it does all of them (`Jobs`)."""

    async def claim(self, name: str, every_seconds: float) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class Backend:
    """An open database, and how the processes that use it find each other.

    `locks` is None where the processes of one machine keep order among themselves. `folder` is the database's
    own folder, if it has one here. `when_overridden` takes a function that is called soon after an override
    has changed, where the engine can say so.
    """

    database: Database
    presence: Presence
    jobs: Jobs
    locks: Locks | None
    folder: Path | None
    when_overridden: Callable[[Callable[[], None]], None] = lambda _: None


@asynccontextmanager
async def open_backend(
    options: StoreOptions, memory: Memory, new_id: Callable[[], str]
) -> AsyncIterator[Backend]:
    """Opens the engine, its schema made or migrated if need be. Raises StoreError."""
    url = options.postgresql
    opening = _sqlite(options, memory, new_id) if url is None else _postgresql(url, options, memory, new_id)
    async with opening as backend:
        yield backend


async def migrate_store(
    options: StoreOptions, new_id: Callable[[], str], serving_role: str | None = None
) -> Migrated:
    """Brings the schema to this release's, made if absent, whatever MICHIQ_MIGRATE says.

    In PostgreSQL, `serving_role` then gets the rights to serve, and no others. Raises StoreError.
    """
    if (url := options.postgresql) is not None:
        return await _migrate_postgresql(url, options, serving_role)
    if serving_role is not None:
        raise StoreError("--serving-role: SQLite has no roles")
    path = database_path(options.database_url)
    async with AsyncExitStack() as stack:
        presence = await _present(path, new_id, stack)
        return await asyncio.to_thread(migrate, path, presence.refuse_others_format)


@asynccontextmanager
async def held_still(options: StoreOptions) -> AsyncIterator[Check]:
    """Lets nobody write to the open database while the block runs. Raises StoreError.

    In PostgreSQL, only the role that owns the tables can do so.
    """
    url = options.postgresql
    opening = still_sqlite(database_path(options.database_url)) if url is None else _still(url, options)
    async with opening as check:
        yield check


@asynccontextmanager
async def copied_by_one(options: StoreOptions) -> AsyncIterator[Check]:
    """Makes sure that no other process copies into the same PostgreSQL database. Raises StoreError.

    For SQLite, the presence says so (`Presence.others`): it ends with a process that is killed.
    """
    async with AsyncExitStack() as stack:
        if (url := options.postgresql) is not None:
            with _library():
                from proxy.store.sql.postgresql.stillness import copying_alone

            yield await stack.enter_async_context(copying_alone(_server(url, options)))
        else:
            yield nothing_held


@asynccontextmanager
async def _still(url: PostgresqlUrl, options: StoreOptions) -> AsyncIterator[Check]:
    with _library():
        from proxy.store.sql.postgresql.stillness import still_postgresql

    async with still_postgresql(_server(url, options)) as check:
        yield check


async def _present(path: Path, new_id: Callable[[], str], stack: AsyncExitStack) -> FilePresence:
    """Makes the database's folder, and this process present beside its file."""
    try:
        await asyncio.to_thread(make_private, path.parent)
        return stack.enter_context(present(path.with_name(f"{path.name}.processes"), new_id()))
    except OSError as error:
        raise because(f"MICHIQ_DATABASE_URL: {error.strerror}: {error.filename}", error) from error


@asynccontextmanager
async def _sqlite(options: StoreOptions, memory: Memory, new_id: Callable[[], str]) -> AsyncIterator[Backend]:
    path = database_path(options.database_url)
    async with AsyncExitStack() as stack:
        presence = await _present(path, new_id, stack)
        may_change = options.migrate == "start"
        opening = open_database(path, memory.forget, presence.refuse_others_format, may_change=may_change)
        yield Backend(await stack.enter_async_context(opening), presence, OwnJobs(), None, path.parent)


@asynccontextmanager
async def _postgresql(
    url: PostgresqlUrl, options: StoreOptions, memory: Memory, new_id: Callable[[], str]
) -> AsyncIterator[Backend]:
    # Imported only here: most have SQLite, and start faster without it.
    with _library():
        from proxy.store.cluster.jobs import ReplicasJobs
        from proxy.store.cluster.lease import leased
        from proxy.store.cluster.notes import Notes, listening
        from proxy.store.cluster.tickets import ticket_locks
        from proxy.store.sql.postgresql.database import open_postgresql

    server = _server(url, options)
    engine = server.engine()  # one for all: its first connection asks the server about itself
    await _prepare(engine, may_change=options.migrate == "start")
    async with AsyncExitStack() as stack:
        # The lease has a connection of its own: no request must keep a renewal waiting.
        leasing = await stack.enter_async_context(open_postgresql(engine, 1))
        lease = await stack.enter_async_context(leased(leasing, new_id))
        database = await stack.enter_async_context(open_postgresql(engine, options.pool, memory.forget))
        notes = Notes(server)
        locks = await stack.enter_async_context(ticket_locks(database, lease, new_id, notes))
        backend = Backend(
            database, lease, ReplicasJobs(database), locks, None, partial(notes.when, OVERRIDDEN)
        )
        await stack.enter_async_context(listening(notes, server))
        yield backend


async def _migrate_postgresql(
    url: PostgresqlUrl, options: StoreOptions, serving_role: str | None
) -> Migrated:
    with _library():
        from proxy.store.sql.postgresql.grants import grant

    def also(conn: Connection) -> None:
        if serving_role is not None:
            grant(conn, serving_role)

    return await _prepare(_server(url, options).engine(), may_change=True, also=also)


def _server(url: PostgresqlUrl, options: StoreOptions) -> "Server":
    with _library():
        from proxy.store.sql.postgresql.connections import server_at

    return server_at(url, pooler=options.pooler == "transaction", ca_file=options.here.ca_file)


@contextmanager
def _library() -> Iterator[None]:
    try:
        yield
    except ImportError:
        missing = "PostgreSQL needs one more library: pip install 'michiq-proxy[postgresql]'"
        raise StoreError(f"MICHIQ_DATABASE_URL: {missing}") from None


async def _prepare(
    engine: "AsyncEngine", *, may_change: bool, also: Callable[[Connection], None] = lambda _: None
) -> Migrated:
    """Checks the server's settings, and brings the schema to this release's (`migrating.migrate`)."""
    from proxy.store.sql.postgresql import migrating

    async with migrating.connected(engine) as conn:
        await migrating.check_durable(conn)
        return await migrating.migrate(conn, may_change=may_change, also=also)
