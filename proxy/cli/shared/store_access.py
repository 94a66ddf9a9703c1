"""Opens the store for a command that works straight on it, whether or not a proxy runs."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from proxy.cli.common import Failure, Misuse
from proxy.postgresql_url import is_postgresql, without_password
from proxy.settings import Settings
from proxy.store import Store, StoreError, open_store
from proxy.store.locations import database_path
from proxy.store.options import StoreOptions, store_options
from proxy.values import Json

T = TypeVar("T")


def with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Returns the result of `work` on the store of the settings.

    Raises Misuse or Failure, with a sentence, when the store can't be used.
    """
    return asyncio.run(_run(settings, work))


def name_store(settings: Settings) -> None:
    """Prints on stderr which store was changed."""
    click.echo(f"store: {store_name(settings)}", err=True)


def store_name(settings: Settings) -> str:
    """Returns the database as it may be shown: its file, or its address without the password."""
    url = settings.database_url.get_secret_value()
    return without_password(url) if is_postgresql(url) else str(database_path(url).absolute())


def has_store(settings: Settings) -> bool:
    """Returns whether there may be a store: of PostgreSQL that shows only once it is opened."""
    url = settings.database_url.get_secret_value()
    return is_postgresql(url) or database_path(url).exists()


def echo_json(value: Json) -> None:
    """Prints JSON, in ASCII for a terminal that lacks letters."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    click.echo(json.dumps(value, ensure_ascii=encoding != "utf8"))


async def _run(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    async with AsyncExitStack() as stack:
        try:
            options = for_a_command(store_options(settings, os.environ))
            keys = [key.get_secret_value() for key in settings.secret_keys]
            opening = open_store(options, keys, renews=False)
            store = await stack.enter_async_context(opening)
        except StoreError as error:
            raise Misuse(str(error)) from None
        try:
            return await work(store)
        except StoreError as error:
            raise Failure(str(error)) from None


def for_a_command(options: StoreOptions) -> StoreOptions:
    """Returns the options with which a command never makes a new store: it would work on an empty one.

    Raises Failure when there is no file. In PostgreSQL, only `serve` and `migrate` change tables.
    """
    if is_postgresql(options.database_url):
        return replace(options, migrate="never")
    _refuse_missing(database_path(options.database_url))
    return options


def _refuse_missing(path: Path) -> None:
    """Raises Failure when there is no such file."""
    try:
        path.stat()
    except FileNotFoundError:
        raise Failure(
            f"there is no store at {path.absolute()} (MICHIQ_DATABASE_URL). Run this in the proxy's folder, "
            "or name it: michiq-proxy -C FOLDER …; `michiq-proxy serve` makes a store"
        ) from None
    except OSError:  # opening it says what is wrong with it
        return
