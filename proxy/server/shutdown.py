"""Shuts a process down without losing a request: readiness, connections, requests, then their tasks."""

import asyncio
from typing import Final

import structlog

from proxy.concurrency.tasks import Tasks
from proxy.server.listener import Listener
from proxy.server.serving import Serving

# Shares of the time to drain: /readyz fails first, and then new connections are still accepted for a while.
_NOTICE_SHARE: Final = 1 / 6
_MOST_NOTICE_SECONDS: Final = 5.0
_ACCEPTING_SHARE: Final = 1 / 2
# Reserved for the last answers of /readyz.
_LAST_SECONDS: Final = 1.0

_log: Final = structlog.get_logger("proxy.ending")


class Ending:
    """The shutdown of a process, within `seconds`; it begins with `notice`, `retire` or the first `leave`."""

    def __init__(self, seconds: float, serving: Serving) -> None:
        self._seconds = seconds
        self._serving = serving
        self._listeners: list[Listener] = []
        self._end: float | None = None
        self._retired = False

    def watch(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def notice(self) -> None:
        """Makes the process not ready, and every answer the last of its connection; then waits.

        Requests are still served meanwhile, so that load balancers notice and choose another process.
        """
        self._begin()
        self._serving.stop()
        await asyncio.sleep(self._notice)

    def retire(self) -> None:
        """Stops accepting connections: another process has taken over, on the same sockets.

        Clients have some time to learn from an answer that their connection ends.
        """
        self._retired = True
        self._begin()
        for listener in self._listeners:
            listener.stop_accepting()

    async def leave(self, listener: Listener) -> None:
        """Lets requests finish, and closes the listener once there are none."""
        end = self._begin()
        if self._retired:
            await listener.leave(end, linger=self._notice)
        else:
            self._serving.stop()
            await listener.quiet(end - self._seconds * _ACCEPTING_SHARE)
            await listener.leave(end)

    async def leave_last(self, listener: Listener) -> None:
        """Closes the listener of /readyz, which answers until now that the process is not ready."""
        await listener.leave(asyncio.get_running_loop().time() + _LAST_SECONDS)

    async def drain(self, tasks: Tasks) -> None:
        """Waits for the tasks that requests have left running, once no new request can come."""
        await tasks.drain(self.left())

    def left(self) -> float:
        """Returns the seconds until the process must have ended."""
        return max(0.0, self._begin() - asyncio.get_running_loop().time())

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
