"""The parent of several workers: it starts, replaces and stops workers, and grants them locks."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from proxy.supervisor.channel import Channel
from proxy.supervisor.child import Worker
from proxy.supervisor.supervisor import Supervisor, WorkerFailed

WORDS = ("stop", "retire")


class Hired:
    """A worker in the test's own process: it serves at once and stops on order, unless it is `stubborn`.

    A `mute` one never begins to serve.
    """

    def __init__(self, name: str, *, fit: bool, stubborn: bool, mute: bool) -> None:
        self.name = name
        self.told: list[dict[str, Any]] = []
        self.line: Channel
        self.returncode: int | None = None
        self._fit = fit
        self._stubborn = stubborn
        self._mute = mute
        self._gone = asyncio.Event()

    async def work(self) -> None:
        if self._mute:
            pass
        elif self._fit:
            self.line.send(ready=[f"http://{self.name}", "http://admin"])
        else:
            self.leave(2)
        async for message in self.line.messages():
            self.told.append(message)
            if message.get("do") in WORDS and not self._stubborn:
                self.leave(0)

    def leave(self, code: int) -> None:
        self.returncode = code
        self._gone.set()
        self.line.close()

    def kill(self) -> None:
        self.leave(-signal.SIGKILL)

    async def wait(self) -> int:
        await self._gone.wait()
        assert self.returncode is not None
        return self.returncode


class Agency:
    """A maker of workers; `fit` says which of them can serve."""

    def __init__(self) -> None:
        self.hired: list[Hired] = []
        self.fit: Callable[[int], bool] = lambda _: True
        self.stubborn = False
        self.mute = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, name: str) -> Worker:
        ours, theirs = socket.socketpair()
        fit = self.fit(len(self.hired))
        hired = Hired(name, fit=fit, stubborn=self.stubborn, mute=self.mute)
        hired.line = await Channel.over(theirs)
        self.hired.append(hired)
        self._tasks.append(asyncio.create_task(hired.work()))
        return Worker(name, await Channel.over(ours), cast(asyncio.subprocess.Process, hired))

    @property
    def there(self) -> list[str]:
        return [hired.name for hired in self.hired if hired.returncode is None]

    def told(self, name: str, word: str) -> bool:
        return any(
            message.get("do") == word for hired in self.hired if hired.name == name for message in hired.told
        )


@asynccontextmanager
async def crew_of(wanted: int, agency: Agency, drain: float = 60.0) -> AsyncIterator[Supervisor]:
    crew = Supervisor(wanted, agency.start, drain, pauses=(0.0,))
    async with asyncio.timeout(20):
        try:
            yield crew
        finally:
            await crew.end()
    assert agency.there == []


@pytest.fixture
def agency() -> Agency:
    return Agency()


async def until(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_as_many_serve_as_are_wanted_and_each_knows_of_the_others(agency: Agency) -> None:
    async with crew_of(3, agency) as crew:
        assert await crew.begin() == ("http://worker-1", "http://admin")
        assert len(agency.there) == 3
        await until(lambda: all({"crew": [3, 3]} in hired.told for hired in agency.hired))


async def test_one_that_can_not_serve_at_the_start_ends_it_with_its_code(agency: Agency) -> None:
    agency.fit = lambda number: number != 1
    async with crew_of(2, agency) as crew:
        with pytest.raises(WorkerFailed) as failed:
            await crew.begin()
    assert failed.value.code == 2


async def test_one_that_dies_is_replaced_and_the_others_are_told(agency: Agency) -> None:
    async with crew_of(2, agency) as crew:
        await crew.begin()
        agency.hired[0].kill()
        await until(lambda: agency.there == ["worker-2", "worker-3"])
        await until(lambda: agency.hired[1].told[-1] == {"crew": [2, 2]})
        assert {"crew": [1, 2]} in agency.hired[1].told
        assert agency.told("worker-2", "take over")


async def test_who_replaces_may_fail_several_times(agency: Agency) -> None:
    agency.fit = lambda number: number not in (2, 3, 4)
    async with crew_of(2, agency) as crew:
        await crew.begin()
        agency.hired[1].kill()
        await until(lambda: agency.there == ["worker-1", "worker-6"])


async def test_in_a_rolling_restart_each_serves_before_an_old_one_is_told_to_end(agency: Agency) -> None:
    async with crew_of(2, agency) as crew:
        await crew.begin()
        await crew.roll()
        assert agency.there == ["worker-3", "worker-4"]
        for old in agency.hired[:2]:
            assert old.told[-3:] == [{"crew": [3, 2]}, {"crew": [2, 2]}, {"do": "retire"}]


async def test_a_rolling_restart_whose_new_worker_can_not_serve_changes_nothing(agency: Agency) -> None:
    agency.fit = lambda number: number < 2
    async with crew_of(2, agency) as crew:
        await crew.begin()
        await crew.roll()
        assert agency.there == ["worker-1", "worker-2"]
        assert not agency.told("worker-1", "retire")


async def test_one_that_dies_during_a_rolling_restart_leaves_no_more_than_are_wanted(agency: Agency) -> None:
    async with crew_of(3, agency) as crew:
        await crew.begin()
        rolling = asyncio.create_task(crew.roll())
        await until(lambda: len(agency.hired) > 3)
        agency.hired[1].kill()
        await rolling
        await until(lambda: len(agency.there) == 3)
        assert not {"worker-1", "worker-2", "worker-3"} & {*agency.there}


async def test_one_that_does_not_end_in_its_time_is_killed(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.supervisor.supervisor._LATE_SECONDS", 0.0)
    agency.stubborn = True
    async with crew_of(2, agency, drain=0.01) as crew:
        await crew.begin()
    assert [hired.returncode for hired in agency.hired] == [-signal.SIGKILL] * 2


async def test_a_lock_goes_from_one_worker_to_the_next_and_from_a_dead_one_too(agency: Agency) -> None:
    async with crew_of(3, agency) as crew:
        await crew.begin()
        one, other, third = agency.hired
        one.line.send(ask=1, key="a")
        await until(lambda: {"grant": 1} in one.told)
        other.line.send(ask=7, key="a")
        third.line.send(ask=9, key="b")
        await until(lambda: {"grant": 9} in third.told)
        third.line.send(ask=10, key="a")
        one.line.send(give_back=1)
        await until(lambda: {"grant": 7} in other.told)
        assert {"grant": 10} not in third.told
        other.kill()
        await until(lambda: {"grant": 10} in third.told)


async def test_all_are_told_to_read_their_files_again(agency: Agency) -> None:
    async with crew_of(2, agency) as crew:
        await crew.begin()
        crew.reload()
        await until(lambda: all(agency.told(hired.name, "reload") for hired in agency.hired))


async def test_one_that_has_not_begun_to_serve_is_not_waited_for_at_the_end(agency: Agency) -> None:
    async with crew_of(1, agency) as crew:
        await crew.begin()
        agency.mute = agency.stubborn = True
        starting = asyncio.create_task(crew.roll())
        await until(lambda: len(agency.hired) > 1)
    await starting
    assert [hired.returncode for hired in agency.hired] == [0, -signal.SIGKILL]
