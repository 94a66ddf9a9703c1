"""Opens the two stores of a copy, and makes sure that nobody else uses them."""

import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, text

from proxy.store.backends import Backend, copied_by_one, held_still, open_backend
from proxy.store.blobs.opening import open_blobs
from proxy.store.blobs.protocol import Blobs
from proxy.store.errors import StoreError
from proxy.store.locations import database_path
from proxy.store.options import StoreOptions
from proxy.store.sql.memory import Memory
from proxy.store.sql.migrate import newest
from proxy.store.upkeep.copying import Copying, Part

TO_DATABASE: Final = "--to-database"
TO_BLOBS: Final = "--to-blobs"
# By the setting's name in an error's text, the name of the option that has the value.
_OPTIONS: Final = {"MICHIQ_DATABASE_URL": TO_DATABASE, "MICHIQ_BLOBS_URL": TO_BLOBS}
_COPY: Final = "copy-"  # the names of processes that copy begin with it
_KILLED: Final = "one that was killed counts for 10 s"


class NotOpened(StoreError):
    """An error of a store that can't be opened, or is of another release."""


@asynccontextmanager
async def opened_copy(
    source: StoreOptions, target: StoreOptions, keys: Sequence[str]
) -> AsyncIterator[Copying]:
    """Opens both stores: nobody writes to the source, and nobody uses the target, while the block runs.

    The target's tables are made if there are none. Raises NotOpened when a store can't be opened, and
    StoreError when it is in use.
    """
    if _database(source) == _database(target):
        raise NotOpened(f"{TO_DATABASE} names the database that is to be copied")
    async with AsyncExitStack() as stack:
        with _not_opened():
            here, blobs_here = await _opened(replace(source, migrate="never"), stack)
        still = await stack.enter_async_context(held_still(source))
        await _refuse_others(here, "source", copies=False)
        with _not_opened(TO_DATABASE):
            there, blobs_there = await _opened(replace(target, migrate="start"), stack)
        alone = await stack.enter_async_context(copied_by_one(target))
        await _refuse_others(there, "target", copies=target.postgresql is None)

        async def check_source() -> None:
            await still()
            # A process that has started since writes as soon as it can.
            await _refuse_others(here, "source", copies=False)

        yield Copying(
            Part(here.database, blobs_here, check_source), Part(there.database, blobs_there, alone), keys
        )


def rename_settings(said: str) -> str:
    """Returns an error's text with the options in the place of the settings that they stand for."""
    for setting, option in _OPTIONS.items():
        said = said.replace(setting, option)
    return said


@contextmanager
def _not_opened(option: str | None = None) -> Iterator[None]:
    """Raises NotOpened for any StoreError; its text names the option, if the store is that of an option."""
    try:
        yield
    except StoreError as error:
        said = str(error)
        if option is not None:
            renamed = rename_settings(said)
            said = renamed if renamed != said else f"{option}: {said}"
        raise NotOpened(said, error.cause) from error


async def _opened(options: StoreOptions, stack: AsyncExitStack) -> tuple[Backend, Blobs]:
    blobs = await stack.enter_async_context(open_blobs(options.blobs_url, _new_id, options.here))
    opening = open_backend(options, Memory(time.monotonic), _new_id)
    backend = await stack.enter_async_context(opening)
    revision = await backend.database.read(_revision)
    if revision != newest():
        said = f"its tables are of revision {revision}, and this release copies revision {newest()} only"
        raise StoreError(f"MICHIQ_DATABASE_URL: {said}")
    return backend, blobs


async def _refuse_others(backend: Backend, which: str, *, copies: bool) -> None:
    """Raises StoreError when another process has the store open; one that copies counts only if `copies`."""
    names = await backend.database.read(backend.presence.others)
    if [name for name in names if copies or not name.startswith(_COPY)]:
        raise StoreError(f"another process uses the {which}; end it ({_KILLED}), and run this again")


def _revision(conn: Connection) -> str:
    found: str = conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return found


def _database(options: StoreOptions) -> object:
    """Returns what two addresses of one database have in common."""
    if (url := options.postgresql) is not None:
        return url.servers, url.database
    return database_path(options.database_url).resolve()


def _new_id() -> str:
    return _COPY + secrets.token_hex(16)
