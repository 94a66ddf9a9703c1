"""Runs the proxy for `michiq-proxy serve`: alone, as the parent of workers, or as one of them."""

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import Final

import structlog

from proxy.cli.common import mappings_folder, read_settings, read_table
from proxy.cli.shared.running import reload_on_hangup, rest_collector, run_until_stopped
from proxy.cli.shared.startup_checks import refuse_what_is_unsafe, warn_of, warn_of_missing
from proxy.mapping.table import Table
from proxy.observe.logs import setup
from proxy.server.open_files import raise_limit
from proxy.settings import Settings
from proxy.supervisor.channel import Channel
from proxy.supervisor.stop import Stop
from proxy.supervisor.supervise import supervise
from proxy.supervisor.worker import Inherited, ServingWorker
from proxy.web.service import running

_log: Final = structlog.get_logger("proxy.serve")


def run(
    channel: int | None, listen: tuple[int, ...], admin: tuple[int, ...], status: tuple[int, ...]
) -> None:
    """Serves until it is stopped; with a channel, as one of several workers."""
    refuse_what_is_unsafe()
    raise_limit()
    settings = read_settings()
    folder = mappings_folder(settings.mappings)
    table = read_table(folder, has_legacy=settings.legacy_url is not None)
    setup(sys.stdout, pretty=sys.stdout.isatty(), shared=settings.workers > 1)
    if channel is not None:
        inherited = Inherited(channel, listen, admin, status)
        run_until_stopped(lambda stop: _beside(settings, table, folder, inherited, stop))
        return
    warn_of(settings)
    warn_of_missing(settings, table)
    if settings.workers > 1:
        run_until_stopped(lambda stop: supervise(settings, stop))
    else:
        run_until_stopped(lambda stop: _alone(settings, table, folder, stop))


async def _alone(settings: Settings, table: Table, folder: Path, stop: Stop) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, lambda: _log.warning("only_several_workers_roll"))
    async with running(settings, table, folder=folder) as proxy:
        reload_on_hangup(proxy.reload_soon)
        rest_collector()
        await stop.wait()
        await proxy.ending.notice()


async def _beside(settings: Settings, table: Table, folder: Path, inherited: Inherited, stop: Stop) -> None:
    """Serves as one of several workers."""
    channel = await Channel.over(socket.socket(fileno=inherited.channel))
    member = ServingWorker(channel, inherited, stop)
    following = asyncio.create_task(member.follow(), name="follow-parent")
    async with running(settings, table, folder=folder, shared=member.shared) as proxy:
        reload_on_hangup(proxy.reload_soon)
        member.serve(proxy)
        rest_collector()
        await stop.wait()
        if member.retired:
            proxy.ending.retire()
        else:
            await proxy.ending.notice()
    following.cancel()
