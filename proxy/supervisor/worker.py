"""A worker's end of the channel to its parent: what it shares with its siblings, and its orders."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.server.serving import Serving
from proxy.server.sockets import SharedResources
from proxy.supervisor.channel import Channel
from proxy.supervisor.lock_server import RemoteLocks
from proxy.supervisor.siblings import RemoteSiblings
from proxy.web.service import Running


@dataclass(frozen=True, slots=True)
class Inherited:
    """The file descriptors that a worker got from its parent."""

    channel: int
    listen: tuple[int, ...]
    admin: tuple[int, ...]
    status: tuple[int, ...]


class ServingWorker:
    """One of several workers. `retired` says whether the others go on after this one was asked to stop."""

    def __init__(self, channel: Channel, inherited: Inherited, stop: asyncio.Event) -> None:
        self.retired = False
        self._channel = channel
        self._stop = stop
        self._locks = RemoteLocks(channel.send)
        self._siblings = RemoteSiblings(channel.send)
        self._serving = Serving()
        self._serving.siblings = self._siblings
        self._running: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        self.shared = SharedResources(
            listen=_sockets(inherited.listen),
            admin=_sockets(inherited.admin),
            status=_sockets(inherited.status),
            locks=self._locks,
            serving=self._serving,
        )

    def serve(self, proxy: Running) -> None:
        """Tells the parent that the worker has begun to serve."""
        self._running.set_result(proxy)
        urls = [proxy.url, proxy.admin_url, proxy.status_url]
        self._channel.send(ready=[url for url in urls if url is not None])

    async def follow(self) -> None:
        """Follows the parent's orders; retires when the parent is gone."""
        try:
            async for message in self._channel.messages():
                self._do(message)
        finally:
            self._locks.lose_desk()
            self._retire()

    def _do(self, message: dict[str, Any]) -> None:
        match message:
            case {"grant": int(number)}:
                self._locks.grant(number)
            case {"crew": [int(ready), int(workers)]}:
                self._serving.ready, self._serving.workers = ready, workers
            case {"you": str(name)}:
                self._serving.name = name
            case {"collect": [str(asker), int(number)]}:
                self._once_running(lambda proxy: self._collect(proxy, asker, number))
            case {"scrape": int(number), "others": [*names]}:
                self._siblings.expect(number, names)
            case {"scrape": int(number), "of": str(name), "collected": str(text)}:
                self._siblings.answer(number, name, text)
            case {"do": "reload"}:
                self._once_running(Running.reload_soon)
            case {"do": "take over"}:
                self._once_running(Running.take_over_soon)
            case {"do": "retire"}:
                self._retire()
            case {"do": "stop"}:
                self._stop.set()

    def _collect(self, proxy: Running, asker: str, number: int) -> None:
        async def collect() -> None:
            self._channel.send(collected=await proxy.state.encoded(), **{"for": [asker, number]})

        proxy.deps.tasks.start("collect-metrics", collect())

    def _retire(self) -> None:
        self.retired = True
        self._stop.set()

    def _once_running(self, do: Callable[[Running], None]) -> None:
        self._running.add_done_callback(lambda running: do(running.result()))


def _sockets(numbers: Sequence[int]) -> list[socket.socket]:
    return [socket.socket(fileno=number) for number in numbers]
