"""`michiq-proxy serve`: the proxy, until it is told to end."""

import asyncio
import sys
from pathlib import Path

import click

from proxy.cli.common import mappings_folder, read_settings, read_table, reload_on_hangup, run_until_stopped
from proxy.mapping.table import Table
from proxy.observe.logs import setup
from proxy.settings import Settings
from proxy.web.server import running


@click.command()
def serve() -> None:
    """Serve the legacy routes by the settings and the mapping files."""
    settings = read_settings()
    folder = mappings_folder(settings.mappings)
    table = read_table(folder, has_legacy=settings.legacy_url is not None)
    setup(sys.stdout, pretty=sys.stdout.isatty())
    run_until_stopped(lambda stop: _serve(settings, table, folder, stop))


async def _serve(settings: Settings, table: Table, folder: Path, stop: asyncio.Event) -> None:
    async with running(settings, table, folder=folder) as proxy:
        reload_on_hangup(proxy.moving.follower.reload_soon)
        await stop.wait()
