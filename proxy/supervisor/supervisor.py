"""Runs the workers of one service: as many as wanted, each replaced when it dies, all of them on request."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final

import structlog

from proxy.supervisor.child import Worker
from proxy.supervisor.lock_server import LockServer, Ticket

_START_SECONDS: Final = 60.0
# Beyond the time to drain: a worker that has not ended by then never will.
_LATE_SECONDS: Final = 10.0
# The pauses before a dead worker is replaced: none at first, longer when the next ones die soon, too.
_PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_LONG_SECONDS: Final = 60.0

_log: Final = structlog.get_logger("proxy.crew")


class WorkerFailed(Exception):
    """A worker's end before it served. `code` is its exit code; the worker has printed the reason."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Supervisor:
    """A supervisor of workers: `start` makes a worker of a new name, which has `drain` seconds to end."""

    def __init__(
        self,
        wanted: int,
        start: Callable[[str], Awaitable[Worker]],
        drain: float,
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        self._wanted = wanted
        self._start = start
        self._drain = drain
        self._pauses = pauses
        self._desk = LockServer()
        self._names = (f"worker-{number}" for number in count(1))
        self._alive: dict[str, Worker] = {}
        self._serving: list[Worker] = []  # the oldest first
        self._died_soon = 0
        self._over = asyncio.Event()
        self._rolling = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> tuple[str, ...]:
        """Starts the workers, and returns the URLs once all of them serve.

        Raises WorkerFailed when a worker can't serve.
        """
        # The first worker starts alone: it brings the database to this release.
        first = await self._start_worker()
        await asyncio.gather(*(self._start_worker() for _ in range(self._wanted - 1)))
        return first.urls

    def reload(self) -> None:
        """Sends a reload to all workers: each reads the mapping files and the certificate again."""
        self._broadcast(do="reload")

    def roll_soon(self) -> None:
        """Starts a rolling restart in the background, for a signal handler."""
        self._own(self.roll(), "roll")

    async def roll(self) -> None:
        """Replaces the workers one after the other: each new one serves before an old one ends."""
        async with self._rolling:
            for _ in range(self._wanted):
                try:
                    await self._start_worker()
                except WorkerFailed as failed:
                    if not self._over.is_set():
                        _log.error("rolling_restart_given_up", code=failed.code)
                    return
                await self._retire_the_oldest()
            _log.info("rolled")

    async def end(self) -> None:
        """Stops all workers, and returns when they are gone."""
        self._over.set()
        self._serving.clear()
        await asyncio.gather(*(self._stop_worker(worker, "stop") for worker in [*self._alive.values()]))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def kill(self) -> None:
        """Kills all workers at once."""
        for worker in self._alive.values():
            worker.kill()

    async def _start_worker(self) -> Worker:
        worker = await self._start(next(self._names))
        self._alive[worker.name] = worker
        worker.channel.send(you=worker.name)
        self._own(self._watch(worker), worker.name)
        try:
            async with asyncio.timeout(0 if self._over.is_set() else _START_SECONDS):
                await worker.up.wait()
        except TimeoutError:
            worker.kill()
        if not worker.urls or self._over.is_set():
            raise WorkerFailed(await worker.process.wait())
        worker.since = asyncio.get_running_loop().time()
        self._serving.append(worker)
        self._announce()
        return worker

    async def _retire_the_oldest(self) -> None:
        """Retires the oldest workers until no more serve than are wanted."""
        while len(self._serving) > self._wanted:
            worker = self._serving.pop(0)
            self._announce()
            await self._stop_worker(worker, "retire")

    async def _stop_worker(self, worker: Worker, word: str) -> None:
        if not worker.urls:
            worker.kill()  # it has not begun to serve
        worker.channel.send(do=word)
        try:
            async with asyncio.timeout(self._drain + _LATE_SECONDS):
                await worker.process.wait()
        except TimeoutError:
            _log.error("worker_killed", worker=worker.name)
            worker.kill()
            await worker.process.wait()

    async def _watch(self, worker: Worker) -> None:
        """Waits for a worker's end; then passes its locks on, has its work taken over, and replaces it."""
        code = await worker.ended(self._on_message)
        del self._alive[worker.name]
        for ticket in self._desk.forget(worker.name):
            self._grant(ticket)
        self._broadcast(do="take over")
        if worker in self._serving:
            self._serving.remove(worker)
            self._announce()
            _log.error("worker_died", worker=worker.name, code=code)
            await self._replace(worker)

    async def _replace(self, worker: Worker) -> None:
        if asyncio.get_running_loop().time() - worker.since >= _LONG_SECONDS:
            self._died_soon = 0
        while await self._pause() and len(self._serving) < self._wanted:
            try:
                await self._start_worker()
            except WorkerFailed as failed:
                if not self._over.is_set():
                    _log.error("worker_not_replaced", code=failed.code)
        await self._retire_the_oldest()

    async def _pause(self) -> bool:
        """Waits before a replacement; returns False when the crew has ended meanwhile."""
        seconds = self._pauses[min(self._died_soon, len(self._pauses) - 1)]
        self._died_soon += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return not self._over.is_set()

    def _on_message(self, worker: Worker, message: dict[str, Any]) -> None:
        match message:
            case {"ready": [*urls]}:
                worker.ready(urls)
            case {"ask": int(number), "key": str(key)}:
                if self._desk.ask((worker.name, number), key):
                    self._grant((worker.name, number))
            case {"give_back": int(number)}:
                self._grant(self._desk.give_back((worker.name, number)))
            case {"scrape": int(number)}:
                self._scrape(worker, number)
            case {"collected": str(text), "for": [str(asker), int(number)]} if asker in self._alive:
                answer = {"of": worker.name, "collected": text, "scrape": number}
                self._alive[asker].channel.send(**answer)
            case {"do": "reload"}:
                self.reload()
            case {"do": "roll"}:
                self.roll_soon()

    def _scrape(self, asker: Worker, number: int) -> None:
        """Asks the other workers for their metrics, and tells the asker whom to expect."""
        others = [each for each in self._alive.values() if each.urls and each is not asker]
        asker.channel.send(scrape=number, others=[each.name for each in others])
        for each in others:
            each.channel.send(collect=[asker.name, number])

    def _grant(self, ticket: Ticket | None) -> None:
        if ticket is not None and ticket[0] in self._alive:
            self._alive[ticket[0]].channel.send(grant=ticket[1])

    def _announce(self) -> None:
        self._broadcast(crew=[len(self._serving), self._wanted])

    def _broadcast(self, **message: Any) -> None:
        for worker in self._alive.values():
            worker.channel.send(**message)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
