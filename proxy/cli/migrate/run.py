"""Migrates the database for `michiq-proxy migrate`, and prints from which revision to which."""

import asyncio
import os
import secrets

import click

from proxy.cli.common import Misuse, read_settings
from proxy.cli.shared.store_access import echo_json, name_store
from proxy.store import StoreError
from proxy.store.backends import migrate_store
from proxy.store.options import store_options
from proxy.store.sql.migrate import newest
from proxy.store.sql.schema import Migrated


def run(serving_role: str | None, *, as_json: bool) -> None:
    """Migrates, and prints the revisions. Raises Misuse, with a sentence, when that can't be done."""
    settings = read_settings()
    options = store_options(settings, os.environ)
    try:
        migrated = asyncio.run(migrate_store(options, lambda: secrets.token_hex(16), serving_role))
    except StoreError as error:
        raise Misuse(str(error)) from None
    name_store(settings)
    if as_json:
        echo_json({"before": migrated.before, "after": migrated.after, "serving_role": serving_role})
        return
    click.echo(sentence(migrated, newest()))
    if serving_role is not None:
        click.echo("the serving role has the rights to serve, and no others")


def sentence(migrated: Migrated, newest: str) -> str:
    """Returns the sentence about a migration by a release whose newest revision is `newest`."""
    if migrated.before is None:
        return f"tables made: revision {migrated.after}"
    if migrated.before != migrated.after:
        return f"tables upgraded: revision {migrated.before} to {migrated.after}"
    if migrated.after != newest:
        return (
            f"nothing to do: revision {migrated.after} is of a newer release, and this one ({newest}) fits it"
        )
    return f"nothing to do: revision {migrated.after} is this release's"
