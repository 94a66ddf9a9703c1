"""`michiq-proxy serve`: the proxy, until it is told to end."""

import asyncio
import sys

import click

from proxy.cli.common import mappings_folder, read_settings, read_table, run_until_stopped
from proxy.mapping.table import Table
from proxy.observe.logs import setup
from proxy.settings import Settings
from proxy.web.server import running


@click.command()
def serve() -> None:
    """Serve the legacy routes by the settings and the mapping files."""
    settings = read_settings()
    table = read_table(mappings_folder(settings.mappings))
    setup(sys.stdout, pretty=sys.stdout.isatty())
    run_until_stopped(lambda stop: _serve(settings, table, stop))


async def _serve(settings: Settings, table: Table, stop: asyncio.Event) -> None:
    async with running(settings, table):
        await stop.wait()
