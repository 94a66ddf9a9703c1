"""Opens the store for a command that works straight on it, whether or not a proxy runs."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import click

from proxy.cli.common import Failure, Misuse
from proxy.settings import Settings
from proxy.store import Store, StoreError, Surroundings, open_store
from proxy.store.locations import database_path
from proxy.values import Json

T = TypeVar("T")


def with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Returns the result of `work` on the store of the settings.

    Raises Misuse or Failure, with a sentence, when the store can't be used.
    """
    return asyncio.run(_run(settings, work))


def name_store(settings: Settings) -> None:
    """Prints on stderr which store was changed."""
    click.echo(f"store: {database_path(settings.database_url).absolute()}", err=True)


def echo_json(value: Json) -> None:
    """Prints JSON, in ASCII for a terminal that lacks letters."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    click.echo(json.dumps(value, ensure_ascii=encoding != "utf8"))


async def _run(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    async with AsyncExitStack() as stack:
        try:
            _refuse_missing(settings.database_url)
            keys = [key.get_secret_value() for key in settings.secret_keys]
            here = Surroundings(os.environ, settings.ca_file, settings.outbound)
            opening = open_store(settings.database_url, settings.blobs_url, keys, renews=False, here=here)
            store = await stack.enter_async_context(opening)
        except StoreError as error:
            raise Misuse(str(error)) from None
        try:
            return await work(store)
        except StoreError as error:
            raise Failure(str(error)) from None


def _refuse_missing(database_url: str) -> None:
    """Raises Failure when there is no store: in a wrong folder, a command would work on an empty one."""
    path = database_path(database_url)
    try:
        path.stat()
    except FileNotFoundError:
        raise Failure(
            f"there is no store at {path.absolute()} (MICHIQ_DATABASE_URL). Run this in the proxy's folder, "
            "or name it: michiq-proxy -C FOLDER …; `michiq-proxy serve` makes a store"
        ) from None
    except OSError:  # opening it says what is wrong with it
        return
