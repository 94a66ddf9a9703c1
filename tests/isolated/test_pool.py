"""Hostile work hangs, dies or floods its own process only."""

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NoReturn

import pytest
import pytest_asyncio

from proxy.audio.duration import BadAudio, seconds
from proxy.isolated.pool import IsolatedPool, WorkerCrashed, WorkerTimeout
from proxy.text.extract import extract
from proxy.text.extraction import Extraction
from tests.samples import damaged_pdf, pdf, wav

AMPLE: Final = 60.0

PROGRAM: Final = """
import asyncio, os, uvloop
from proxy.isolated.pool import IsolatedPool
from tests.isolated.test_pool import double

async def main():
    async with IsolatedPool() as workers:
        await workers.warm()
        print(await workers.run(double, 6, seconds=60), flush=True)
        {ending}

if __name__ == "__main__":
    {loop}.run(main())
"""


def double(number: int) -> int:
    return 2 * number


def own_pid() -> int:
    return os.getpid()


def fork_server() -> int:
    return os.getppid()


def exit_at_once() -> NoReturn:
    os._exit(3)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def eat_memory() -> int:
    return len(bytearray(8 << 30))


def recurse() -> None:
    recurse()


def quote_the_file() -> NoReturn:
    raise ValueError("Ana García")


class Unpicklable(Exception):
    """Cannot be made again from its own arguments, like some of the parsers' errors."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def raise_unpicklable() -> NoReturn:
    raise Unpicklable("Ana", "García")


def return_unpicklable() -> Callable[[], None]:
    return lambda: None


def return_a_stranger() -> Path:
    return Path("no dataclass of this module")


def hang() -> None:
    while True:
        pass


def hang_in_c() -> None:
    all(repeat(True))


def linger() -> str:
    time.sleep(0.6)
    return "done"


def shout() -> None:
    print("Ana García", flush=True)  # noqa: T201
    os.write(2, "Ana García".encode())


def limits() -> tuple[bool, bool]:
    import resource

    memory, core = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CORE)
    return 0 < memory[1] < 2 << 30, core == (0, 0)


def imported() -> bool:
    return {"pypdfium2", "lxml", "av"} <= sys.modules.keys()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers() -> AsyncIterator[IsolatedPool]:
    async with IsolatedPool() as started:
        await started.warm()
        yield started


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_task_gives_its_result(workers: IsolatedPool) -> None:
    assert await workers.run(double, 21, seconds=AMPLE) == 42


async def test_many_tasks_at_once_all_give_their_results(workers: IsolatedPool) -> None:
    results = await asyncio.gather(*(workers.run(double, n, seconds=AMPLE) for n in range(250)))
    assert results == [2 * n for n in range(250)]


async def test_a_warm_process_has_the_parsers_and_its_limits(workers: IsolatedPool) -> None:
    assert await workers.run(imported, seconds=AMPLE)
    assert await workers.run(limits, seconds=AMPLE) == (True, True)


@pytest.mark.parametrize(
    ("task", "cause"),
    [
        (exit_at_once, "ProcessExpired"),
        (kill_itself, "ProcessExpired"),
        (eat_memory, "MemoryError"),
        (recurse, "RecursionError"),
        (quote_the_file, "ValueError"),
        (raise_unpicklable, "Unpicklable"),
        (return_unpicklable, "AttributeError, or PicklingError from Python 3.14 on"),
        (return_a_stranger, "UnpicklingError"),
    ],
)
async def test_workers_G10_a_task_that_dies_is_told_by_a_code_and_the_next_one_runs(
    workers: IsolatedPool, task: Callable[[], object], cause: str
) -> None:
    with pytest.raises(WorkerCrashed) as crashed:
        await workers.run(task, seconds=AMPLE)
    assert crashed.value.cause in re.findall(r"\w+", cause)
    assert str(crashed.value) == crashed.value.cause
    assert "Ana" not in repr(crashed.value)
    assert crashed.value.__cause__ is None
    assert await workers.run(double, 1, seconds=AMPLE) == 2


@pytest.mark.parametrize("task", [hang, hang_in_c])
async def test_a_task_that_hangs_is_killed_and_the_next_ones_run(
    workers: IsolatedPool, task: Callable[[], None]
) -> None:
    with pytest.raises(WorkerTimeout):
        await workers.run(task, seconds=0.3)
    assert await asyncio.gather(*(workers.run(double, n, seconds=AMPLE) for n in range(4))) == [0, 2, 4, 6]


async def test_a_task_waits_for_its_turn_without_losing_its_time(workers: IsolatedPool) -> None:
    hung = [asyncio.create_task(workers.run(hang, seconds=0.5)) for _ in range(4)]
    assert await workers.run(double, 4, seconds=0.5) == 8
    assert all(isinstance(end, WorkerTimeout) for end in await asyncio.gather(*hung, return_exceptions=True))


async def test_tasks_that_take_their_time_leave_a_process_to_those_that_do_not(workers: IsolatedPool) -> None:
    hung = [asyncio.create_task(workers.run(hang, seconds=AMPLE, long=True)) for _ in range(8)]
    assert await workers.run(double, 4, seconds=AMPLE) == 8
    assert not any(each.done() for each in hung)
    for each in hung:
        each.cancel()
    await asyncio.wait(hung)


async def test_a_crash_does_not_reach_the_task_beside_it(workers: IsolatedPool) -> None:
    beside = asyncio.create_task(workers.run(extract, pdf(["Tos"] * 40), "a.pdf", "", seconds=AMPLE))
    with pytest.raises(WorkerCrashed):
        await workers.run(exit_at_once, seconds=AMPLE)
    assert (await beside).outcome == "text"


async def test_a_task_that_hangs_does_not_delay_the_result_of_the_one_beside_it(
    workers: IsolatedPool,
) -> None:
    beside = asyncio.create_task(workers.run(linger, seconds=2.5))
    with pytest.raises(WorkerTimeout):
        await workers.run(hang_in_c, seconds=0.3)
    assert await beside == "done"


async def test_a_task_that_breaks_its_pool_does_not_take_the_one_beside_it_along(
    workers: IsolatedPool,
) -> None:
    beside = asyncio.create_task(workers.run(linger, seconds=AMPLE))
    with pytest.raises(WorkerCrashed):
        await workers.run(raise_unpicklable, seconds=AMPLE)
    assert await beside == "done"


async def test_a_process_that_is_killed_while_idle_is_replaced(workers: IsolatedPool) -> None:
    os.kill(await workers.run(own_pid, seconds=AMPLE), signal.SIGKILL)
    results = await asyncio.gather(*(workers.run(double, n, seconds=AMPLE) for n in range(8)))
    assert results == [2 * n for n in range(8)]


async def test_a_fork_server_that_is_killed_is_replaced_and_no_process_outlives_it(
    workers: IsolatedPool,
) -> None:
    server = await workers.run(fork_server, seconds=AMPLE)
    hung = asyncio.create_task(workers.run(hang_in_c, seconds=AMPLE))
    await asyncio.wait([hung], timeout=0.3)
    os.kill(server, signal.SIGKILL)
    with pytest.raises(WorkerCrashed):
        await hung
    results = await asyncio.gather(*(workers.run(double, n, seconds=AMPLE) for n in range(8)))
    assert results == [2 * n for n in range(8)]
    assert await workers.run(fork_server, seconds=AMPLE) != server


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_whole_group_leaves_the_tasks_to_the_serving_process(
    workers: IsolatedPool, number: signal.Signals
) -> None:
    task = asyncio.create_task(workers.run(linger, seconds=AMPLE))
    for pid in (await workers.run(fork_server, seconds=AMPLE), await workers.run(own_pid, seconds=AMPLE)):
        os.kill(pid, number)
    assert await task == "done"


async def test_a_process_is_replaced_after_a_hundred_tasks(workers: IsolatedPool) -> None:
    pids = [await workers.run(own_pid, seconds=AMPLE) for _ in range(101)]
    assert len(set(pids)) == 2


async def test_nothing_of_the_pool_is_a_thread(workers: IsolatedPool) -> None:
    before = set(threading.enumerate())
    await workers.warm()
    assert [each.name for each in threading.enumerate() if each not in before] == []


async def test_a_cancelled_call_kills_its_task(workers: IsolatedPool) -> None:
    calls = [asyncio.create_task(workers.run(hang, seconds=AMPLE)) for _ in range(4)]
    _, waiting = await asyncio.wait(calls, timeout=0.5)
    assert len(waiting) == 4
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    assert await workers.run(double, 3, seconds=AMPLE) == 6


async def test_workers_G10_what_a_task_prints_is_not_shown(
    workers: IsolatedPool, capfd: pytest.CaptureFixture[str]
) -> None:
    await workers.run(shout, seconds=AMPLE)
    assert capfd.readouterr() == ("", "")


async def test_extract_N12_a_damaged_pdf_is_judged_in_a_worker(workers: IsolatedPool) -> None:
    found = await workers.run(extract, damaged_pdf("cut"), "a.pdf", "application/pdf", seconds=AMPLE)
    assert found == Extraction("damaged")


async def test_duration_S01_an_unlinked_file_is_read_by_its_descriptor(workers: IsolatedPool) -> None:
    with TemporaryFile() as file:
        file.write(wav(2))
        file.flush()
        assert await workers.run(seconds, file, seconds=AMPLE, raises=BadAudio) == pytest.approx(2)


async def test_duration_S03_an_error_that_is_expected_arrives_as_it_was_raised(workers: IsolatedPool) -> None:
    with TemporaryFile() as file:
        file.write(b"noise")
        file.flush()
        with pytest.raises(BadAudio, match=r"^undecodable$") as refused:
            await workers.run(seconds, file, seconds=AMPLE, raises=BadAudio)
    assert refused.value.__cause__ is None


async def test_nothing_is_started_that_is_not_used() -> None:
    before = descendants()
    async with IsolatedPool() as workers:
        assert descendants() <= before
        await workers.warm()
        assert descendants() - before, "those that are used are found"


class Clock:
    """Calls that are to come, which a test makes come."""

    def __init__(self) -> None:
        self.coming: dict[int, Callable[[], None]] = {}
        self._numbers = count()

    def later(self, seconds: float, call: Callable[[], None]) -> "_Call":
        number = next(self._numbers)
        self.coming[number] = call
        return _Call(self.coming, number)

    def pass_by(self) -> None:
        for call in [*self.coming.values()]:
            call()
        self.coming.clear()


@dataclass(frozen=True)
class _Call:
    coming: dict[int, Callable[[], None]]
    number: int

    def cancel(self) -> None:
        self.coming.pop(self.number, None)


async def ended(pidfd: int) -> None:
    """Waits for the end of a process that is no child of this one."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, over.set)
    async with asyncio.timeout(AMPLE):
        await over.wait()
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)


async def test_workers_end_when_there_was_nothing_to_do_and_begin_again_at_need() -> None:
    clock = Clock()
    async with IsolatedPool(later=clock.later) as workers:
        pids = [await workers.run(own_pid, seconds=AMPLE), await workers.run(fork_server, seconds=AMPLE)]
        assert descendants() >= {*pids}, "nothing ends before its time"
        watched = [os.pidfd_open(pid) for pid in pids]
        clock.pass_by()
        for each in watched:
            await ended(each)
        assert await workers.run(double, 21, seconds=AMPLE) == 42
        assert await workers.run(fork_server, seconds=AMPLE) not in pids


async def test_workers_that_have_a_task_do_not_end() -> None:
    clock = Clock()
    async with IsolatedPool(later=clock.later) as workers:
        await workers.run(double, 1, seconds=AMPLE)
        first, second = [asyncio.create_task(workers.run(linger, seconds=AMPLE)) for _ in range(2)]
        await asyncio.wait([first, second], timeout=0.2)
        clock.pass_by()
        assert await first == await second == "done"


async def test_a_task_that_comes_while_workers_end_is_done_by_new_ones() -> None:
    clock = Clock()
    async with IsolatedPool(later=clock.later) as workers:
        server = await workers.run(fork_server, seconds=AMPLE)
        clock.pass_by()
        tasks = [asyncio.create_task(workers.run(fork_server, seconds=AMPLE)) for _ in range(5)]
        servers = await asyncio.gather(*tasks)
        assert server not in servers
        assert len({*servers}) == 1


def descendants() -> set[int]:
    """Returns the processes that came from this one, with those of the fork server."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
    found = {os.getpid()}
    while more := {each for each, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_a_console_script_leaves_no_process_behind(tmp_path: Path, loop: str, ending: str) -> None:
    """Reads the output's pipe, which stays open as long as any process of its own lives."""
    program = tmp_path / "michiq"
    program.write_text(PROGRAM.format(loop=loop, ending=ending))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(AMPLE):
        output, errors = await process.communicate()
    assert output == b"12\n"
    assert b"Traceback" not in errors
