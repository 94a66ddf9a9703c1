"""Runs servers until they are told to end, with a clear word about what kept one from its start."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from proxy.cli.common import Failure, Misuse
from proxy.store import StoreError
from proxy.upstream.trust import BadAuthorities
from proxy.web.listening import CantListen
from proxy.web.tls import BadCertificate


class Stop(asyncio.Event):
    """Set by the first SIGINT or SIGTERM; the next one ends the process at once, whatever is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once: Callable[[], None] = lambda: None  # what has to be done even then
        self._signalled = False

    def told(self, number: signal.Signals) -> None:
        # Not by whether it is set: who signals a whole group stops a worker twice, by its parent too.
        if self._signalled:
            self.at_once()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._signalled = True
        self.set()


def run_until_stopped(work: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Runs a server that ends when its event is set, as SIGINT and SIGTERM do."""

    async def main() -> None:
        _rest_collector()
        stop = Stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.told, number)
        await _told(work(stop))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _rest_collector() -> None:
    """The garbage collector holds everybody while it walks; that a large JSON text comes in makes it walk
    again and again. What is there from the start is left out, and it begins later."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 20)


def reload_on_hangup(reload: Callable[[], None]) -> None:
    """SIGHUP reads the mapping files again; call it inside the loop."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


async def _told(work: Awaitable[None]) -> None:
    """Start-up errors in a sentence instead of a traceback."""
    try:
        await work
    except (StoreError, BadCertificate, BadAuthorities) as error:
        raise Misuse(str(error)) from None
    except CantListen as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"can't start: {error.strerror or error}") from None
