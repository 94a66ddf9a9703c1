"""The store for a command that works straight on it, whether or not a proxy runs."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import click

from proxy.cli.common import Failure, Misuse
from proxy.settings import Settings
from proxy.store import Store, StoreError, open_store
from proxy.store.locations import database_path
from proxy.values import Json

T = TypeVar("T")


def with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` gives on the store of the settings; a sentence where the store can't be used."""
    return asyncio.run(_run(settings, work))


def echo_json(value: Json) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


async def _run(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    async with AsyncExitStack() as stack:
        try:
            _tell_if_new(settings.database_url)
            keys = [key.get_secret_value() for key in settings.secret_keys]
            opening = open_store(settings.database_url, settings.blobs_url, keys, renews=False)
            store = await stack.enter_async_context(opening)
        except StoreError as error:
            raise Misuse(str(error)) from None
        try:
            return await work(store)
        except StoreError as error:
            raise Failure(str(error)) from None


def _tell_if_new(database_url: str) -> None:
    # Relative to where the command was called: an operator in the wrong folder would change a new store.
    path = database_path(database_url)
    if not path.exists():
        click.echo(f"note: there was no database at {path}; it is made now", err=True)
