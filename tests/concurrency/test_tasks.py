"""Work that outlives its request runs to its end, and its failures are logged."""

import asyncio

import pytest
from structlog.testing import capture_logs

from proxy.concurrency.tasks import Tasks, beside


class Work:
    """Work that takes until it is released."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self.ended = False
        self._error = error

    async def run(self) -> str:
        await self.gate.wait()
        self.ended = True
        if self._error:
            raise self._error
        return "done"

    async def run_alone(self) -> None:
        await self.run()


async def _leave(tasks: Tasks, work: Work) -> None:
    """Awaits the work, and is cancelled."""
    client = asyncio.create_task(tasks.finish("work", work.run()))
    await asyncio.sleep(0)
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client


async def test_finished_work_gives_its_result() -> None:
    work = Work()
    work.gate.set()
    assert await Tasks().finish("work", work.run()) == "done"


async def test_the_failure_of_awaited_work_is_its_callers_alone() -> None:
    work = Work(ValueError("patient"))
    work.gate.set()
    with capture_logs() as lines, pytest.raises(ValueError, match="patient"):
        await Tasks().finish("work", work.run())
    assert lines == []


async def test_work_goes_on_when_its_caller_is_cancelled() -> None:
    tasks, work = Tasks(), Work()
    await _leave(tasks, work)
    work.gate.set()
    await tasks.drain(5)
    assert work.ended


async def test_the_failure_of_work_whose_caller_left_is_logged() -> None:
    tasks, work = Tasks(), Work(ValueError("patient"))
    await _leave(tasks, work)
    with capture_logs() as lines:
        work.gate.set()
        await tasks.drain(5)
        await asyncio.sleep(0)
    assert [(line["event"], line["task"]) for line in lines] == [("task_failed", "work")]


async def test_the_failure_of_started_work_is_logged() -> None:
    tasks, work = Tasks(), Work(ValueError("patient"))
    work.gate.set()
    with capture_logs() as lines:
        tasks.start("work", work.run_alone())
        await tasks.drain(5)
        await asyncio.sleep(0)
    assert [(line["event"], line["task"]) for line in lines] == [("task_failed", "work")]


async def test_draining_waits_for_what_running_work_starts() -> None:
    tasks, later = Tasks(), Work()

    async def starts_more() -> None:
        tasks.start("later", later.run_alone())
        later.gate.set()

    tasks.start("first", starts_more())
    await tasks.drain(5)
    assert later.ended


async def test_what_does_not_end_in_time_is_cancelled_and_named() -> None:
    tasks, work = Tasks(), Work()
    tasks.start("endless", work.run_alone())
    with capture_logs() as lines:
        await tasks.drain(0.01)
    assert not work.ended
    assert [(line["event"], line["tasks"]) for line in lines] == [("tasks_cut_off", ["endless"])]
    await tasks.drain(0)


async def test_work_beside_a_block_has_ended_with_it() -> None:
    cut_off = False

    async def goes_on() -> None:
        nonlocal cut_off
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cut_off = True

    async def block() -> None:
        async with beside("work", goes_on()):
            await asyncio.sleep(0)
            raise ValueError("the block's")

    with pytest.raises(ValueError, match="the block's"):
        await block()
    assert cut_off


async def test_the_failure_of_work_beside_a_block_is_logged_and_leaves_the_block_alone() -> None:
    work = Work(ValueError("patient"))
    work.gate.set()
    with capture_logs() as lines:
        async with beside("work", work.run_alone()):
            for _ in range(3):
                await asyncio.sleep(0)
    assert [(line["event"], line["task"]) for line in lines] == [("task_failed", "work")]
