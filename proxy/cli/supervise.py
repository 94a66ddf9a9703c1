"""The parent of several workers: it holds the sockets and locks that they share, and answers no request."""

import asyncio
import signal
from functools import partial
from typing import Final

import structlog

from proxy.cli.common import Failure
from proxy.cli.crew import Crew, WorkerFailed
from proxy.cli.running import Stop
from proxy.cli.worker import start
from proxy.settings import Settings
from proxy.web.place import bound

_log: Final = structlog.get_logger("proxy.supervise")


async def supervise(settings: Settings, stop: Stop) -> None:
    """Until it is told to stop, and its workers have ended."""
    place = bound(settings)
    crew = Crew(settings.workers, partial(start, place=place), settings.drain_seconds)
    stop.at_once = crew.kill
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, crew.reload)
    loop.add_signal_handler(signal.SIGUSR2, crew.roll_soon)
    try:
        await _begin(crew, stop)
        await stop.wait()
        _log.info("draining")
    finally:
        place.close()  # the workers' own hold lasts until each has drained
        await crew.end()


async def _begin(crew: Crew, stop: Stop) -> None:
    beginning = asyncio.create_task(crew.begin(), name="begin")
    told = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({beginning, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    try:
        if beginning.done():
            _log.info("listening", **dict(zip(("url", "admin", "status"), beginning.result(), strict=False)))
        else:
            beginning.cancel()
    except WorkerFailed as failed:
        # It has said why itself.
        raise SystemExit(failed.code if failed.code > 0 else Failure.exit_code) from None
