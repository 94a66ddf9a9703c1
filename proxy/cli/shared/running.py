"""Runs servers until they are asked to stop, and complains clearly when one can't start."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import uvloop

from proxy.cli.common import Failure, Misuse
from proxy.server.aiohttp_private import UnfitAiohttp
from proxy.server.listener import CantListen
from proxy.server.tls import BadCertificate
from proxy.store import StoreError
from proxy.supervisor.stop import Stop
from proxy.trust import BadAuthorities

# Under newCases and queries, 700 took 1.4 % of the processor, 2,000 0.6 %, 5,000 0.2 %; 10,000 no less, and
# each walk more than a millisecond. The memory was the same.
_THRESHOLDS: Final = (5_000, 10, 20)


def run_until_stopped(work: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Runs a server that ends when its event is set, as SIGINT and SIGTERM do."""

    async def main() -> None:
        # The modules are no garbage, and to walk through them takes a tenth of a second.
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        stop = Stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.on_signal, number)
        await _explained(work(stop))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def rest_collector() -> None:
    """Freezes all objects that a server has at its start out of garbage collection; call it once it serves.

    Everything waits while the collector runs, and a large JSON text makes it run again and again.
    """
    gc.collect()
    gc.freeze()


def reload_on_hangup(reload: Callable[[], None]) -> None:
    """Makes SIGHUP read the mapping files again; call it inside the loop."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


async def _explained(work: Awaitable[None]) -> None:
    """Raises start-up errors as a sentence instead of a traceback."""
    try:
        await work
    except (StoreError, BadCertificate, BadAuthorities, UnfitAiohttp) as error:
        raise Misuse(str(error)) from None
    except CantListen as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"can't start: {error.strerror or error}") from None
