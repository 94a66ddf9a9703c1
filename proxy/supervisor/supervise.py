"""Runs the parent of several workers, which holds their shared sockets and locks and answers no request."""

import asyncio
import signal
from functools import partial
from typing import Final

import structlog

from proxy.server.sockets import bound
from proxy.settings import Settings
from proxy.supervisor.child import start
from proxy.supervisor.stop import Stop
from proxy.supervisor.supervisor import Supervisor, WorkerFailed

_log: Final = structlog.get_logger("proxy.supervise")


async def supervise(settings: Settings, stop: Stop) -> None:
    """Runs the workers until the parent is asked to stop and they have ended."""
    shared = bound(settings)
    crew = Supervisor(settings.workers, partial(start, shared=shared), settings.drain_seconds)
    stop.at_once = crew.kill
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, crew.reload)
    loop.add_signal_handler(signal.SIGUSR2, crew.roll_soon)
    try:
        await _begin(crew, stop)
        await stop.wait()
        _log.info("draining")
    finally:
        shared.close()  # each worker holds its own copies until it has drained
        await crew.end()


async def _begin(crew: Supervisor, stop: Stop) -> None:
    beginning = asyncio.create_task(crew.begin(), name="begin")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({beginning, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    try:
        if beginning.done():
            _log.info("listening", **dict(zip(("url", "admin", "status"), beginning.result(), strict=False)))
        else:
            beginning.cancel()
    except WorkerFailed as failed:
        # The worker has printed the reason.
        raise SystemExit(failed.code if failed.code > 0 else 1) from None
