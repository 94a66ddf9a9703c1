"""The end of a process in an order that loses nothing: readiness, connections, requests, then their tasks."""

import asyncio
from typing import Final

import structlog

from proxy.tasks import Tasks
from proxy.web.keys import Serving
from proxy.web.listening import Listener

# Of the time to drain: how long it is told before anything is refused, and how long others may still connect.
_NOTICE_SHARE: Final = 1 / 6
_MOST_NOTICE_SECONDS: Final = 5.0
_ACCEPTING_SHARE: Final = 1 / 2
# Kept for the answers of /readyz, at the very end.
_LAST_SECONDS: Final = 1.0

_log: Final = structlog.get_logger("proxy.ending")


class Ending:
    """The last `seconds` of a process; they begin with `notice`, `retire` or the first `leave`."""

    def __init__(self, seconds: float, serving: Serving) -> None:
        self._seconds = seconds
        self._serving = serving
        self._listeners: list[Listener] = []
        self._end: float | None = None
        self._retired = False

    def watch(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def notice(self) -> None:
        """Not ready, and every answer the last of its connection; for a while nothing else is different, so
        that load balancers see it and go elsewhere."""
        self._begin()
        self._serving.stop()
        await asyncio.sleep(self._notice)

    def retire(self) -> None:
        """Another process has taken over, on the same sockets: those who connect from now on are its own.
        Clients have a while to see by an answer that their connection ends."""
        self._retired = True
        self._begin()
        for listener in self._listeners:
            listener.stop_accepting()

    async def leave(self, listener: Listener) -> None:
        """Requests are seen through, and the listener is closed once there are none: the last thing of it."""
        end = self._begin()
        if self._retired:
            await listener.leave(end, linger=self._notice)
        else:
            self._serving.stop()
            await listener.quiet(end - self._seconds * _ACCEPTING_SHARE)
            await listener.leave(end)

    async def leave_last(self, listener: Listener) -> None:
        """For /readyz, which says until now that the process is no longer ready."""
        await listener.leave(asyncio.get_running_loop().time() + _LAST_SECONDS)

    async def drain(self, tasks: Tasks) -> None:
        """What a request began and left running is waited for once no request can come any more."""
        await tasks.drain(max(0.0, self._begin() - asyncio.get_running_loop().time()))

    @property
    def _notice(self) -> float:
        return min(_MOST_NOTICE_SECONDS, self._seconds * _NOTICE_SHARE)

    def _begin(self) -> float:
        if self._end is None:
            _log.info("draining")
            self._end = asyncio.get_running_loop().time() + self._seconds
            for listener in self._listeners:
                listener.leaving = True
        return self._end
