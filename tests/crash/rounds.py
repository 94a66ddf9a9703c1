"""Rounds of a siege: calls, a kill at a named point, a start on the same state, and a look at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from proxy.sandbox import Fault
from proxy.sandbox.cases import Case
from tests.conftest import IDENTITY
from tests.crash.client import BROKEN, Client
from tests.crash.judge import Faults, at_last, judge
from tests.crash.points import REFUSED, SENT, points
from tests.crash.site import Site, alive
from tests.stores import ENGINES

_SECONDS: Final = 30
_PAUSE_SECONDS: Final = 0.1
_NO: Final = Fault(kind="status", status=401, path_prefix="/api/users/me", times=1_000_000)
_HELD: Final = Fault(kind="delay", path_prefix="/api/cases", delay=1.0)


@dataclass
class Siege:
    """One state, and the kills that it went through."""

    site: Site
    client: Client
    faults: Faults = field(default_factory=Faults)
    kills: list[str] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    seen: int = 0

    async def round(self, point: str, number: int, *, plain: bool) -> None:
        """A kill at the point, in the way whose turn it is, and a start. `plain` puts a `michiq-proxy serve`
        without any trap between the two, which is killed once it was looked at."""
        async with self._bystanders():
            await _MEETINGS.get(point, _wait)(self, f"{point}:{number % self._ways(point)}")
            await self._gone()
        self.kills.append(point)
        if plain:
            await self.start(plain=True)
            self.site.kill()
            await self._gone()
        await self.start()

    def _ways(self, point: str) -> int:
        return max(1, len(points(replicated=ENGINES.server is not None)[point]))

    async def start(self, *, plain: bool = False) -> None:
        assert await self.site.start(plain=plain), self.site.log.read_text()[-2000:]
        await judge(self.site, self.client, self.faults, self.seen)
        self.seen = len(self.client.attempts)

    async def end(self) -> None:
        """The last kill, after which no process of any of them is left."""
        await at_last(self.site, self.faults)
        self.site.kill()
        await self._gone()
        async with asyncio.timeout(_SECONDS):
            while any(alive(each) for each in self.killed):  # noqa: ASYNC110  they are nobody's children
                await asyncio.sleep(0.1)

    async def _gone(self) -> None:
        await self.site.gone()
        assert self.site.process
        self.killed.append(self.site.process.pid)

    @asynccontextmanager
    async def _bystanders(self) -> AsyncIterator[None]:
        """Others call all the time, until their connections break: the kill meets them anywhere."""
        first = await self.client.new_case()
        case = first.case["michiq_uuid"]
        calls = [
            asyncio.create_task(_until_broken(lambda: self.client.upload(case))),
            asyncio.create_task(_until_broken(self.client.new_case)),
        ]
        yield
        async with asyncio.timeout(_SECONDS):
            await asyncio.gather(*calls)


async def _until_broken(call: Callable[[], Awaitable[object]]) -> None:
    try:
        while True:
            await call()
            await asyncio.sleep(_PAUSE_SECONDS)
    except BROKEN:
        pass


async def _wait(siege: Siege, trap: str) -> None:
    """The others' calls meet the point."""
    siege.site.arm(trap)


async def _sent(siege: Siege, _: str) -> None:
    """The platform has made a case, and its answer never arrives."""
    platform = siege.site.sandbox.llamalitica
    add = platform.add

    def adding(case: Case) -> None:
        add(case)
        siege.site.kill()
        setattr(platform, "add", add)  # noqa: B010  mypy: a method

    setattr(platform, "add", adding)  # noqa: B010


async def _refused(siege: Siege, trap: str) -> None:
    """users/me refuses a caller whom it has known, until the proxy is gone."""
    faults = siege.site.sandbox.llamalitica.faults
    while (await siege.client.new_case()).user != IDENTITY["user_mail"]:
        pass
    siege.site.arm(trap)
    faults.add(_NO)
    asking = asyncio.create_task(_until_broken(siege.client.new_case))
    async with asyncio.timeout(_SECONDS):
        await asking
    faults.clear()


async def _mode(siege: Siege, trap: str) -> None:
    siege.site.arm(trap)
    await _broken(siege.client.set_mode("off" if len(siege.client.wanted) % 2 else "new"))


async def _drain(siege: Siege, trap: str) -> None:
    """Told to end while the platform works on a case."""
    platform = siege.site.sandbox.llamalitica
    platform.faults.add(_HELD)
    asking = asyncio.create_task(_broken(siege.client.new_case()))
    async with asyncio.timeout(_SECONDS):
        while platform.faults.pending:  # noqa: ASYNC110  the platform sets no event
            await asyncio.sleep(0.01)
    siege.site.arm(trap)
    siege.site.stop()
    await asking


async def _linked(siege: Siege, trap: str) -> None:
    """A recording is transcribed, and its linked case promised."""
    made = (await siege.client.new_case()).case
    await siege.client.upload(made["michiq_uuid"])
    siege.site.arm(trap)
    await _broken(siege.client.transcribe(made["michiq_uuid"]))


async def _broken(call: Awaitable[object]) -> None:
    with suppress(*BROKEN):
        await call


_MEETINGS: Final[Mapping[str, Callable[[Siege, str], Awaitable[None]]]] = {
    SENT: _sent,
    REFUSED: _refused,
    "mode": _mode,
    "drain": _drain,
    "linked": _linked,
}
