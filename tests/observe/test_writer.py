"""Lines leave the process in batches, warnings at once, without waiting for a slow reader."""

import asyncio
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import structlog

from proxy.observe.lines import for_programs
from proxy.observe.loggers import FromLibraries, Log, use
from proxy.observe.logs import dropped, flush, setup
from proxy.observe.writer import Writer
from tests.captured import restored_logging

# Nothing is waited for that long: it only says that no time is meant.
AGES: Final = 60.0
PIPE: Final = 64 * 1024
LINE: Final = b"x" * 1023 + b"\n"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


@contextmanager
def pipe(flags: int = 0) -> Iterator[tuple[int, int]]:
    """Returns a pipe's two ends: one that reads without waiting, and one to write to."""
    reading, writing = os.pipe2(flags)
    os.set_blocking(reading, False)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def told(lines: int) -> bytes:
    return b"%d dropped\n" % lines


def there(reading: int) -> bytes:
    """Returns the bytes in the pipe now."""
    try:
        return os.read(reading, 16 * PIPE)
    except BlockingIOError:
        return b""


async def heard(reading: int, end: bytes) -> bytes:
    """Reads until this comes."""
    loop, whole = asyncio.get_running_loop(), b""
    async with asyncio.timeout(30):
        while not whole.endswith(end):
            ready = asyncio.Event()
            loop.add_reader(reading, ready.set)
            await ready.wait()
            loop.remove_reader(reading)
            whole += there(reading)
    return whole


def test_an_urgent_line_is_there_when_it_was_said_and_all_before_it_is_there_too() -> None:
    with pipe() as (reading, writing):
        writer = Writer(writing, told, patience=AGES)
        writer.put(b"calm\n", urgent=False)
        writer.put(b"urgent\n", urgent=True)
        assert there(reading) == b"calm\nurgent\n"


async def test_a_calm_line_comes_by_itself_so_that_a_kill_loses_no_more_than_the_last_ones() -> None:
    with pipe() as (reading, writing):
        Writer(writing, told).put(b"calm\n", urgent=False)
        assert await heard(reading, b"calm\n") == b"calm\n"


def test_nothing_is_lost_at_the_end() -> None:
    with pipe() as (reading, writing):
        writer = Writer(writing, told)
        for number in range(100):
            writer.put(b"%d\n" % number, urgent=False)
        writer.close()
        writer.put(b"after the end\n", urgent=False)
        assert there(reading) == b"".join(b"%d\n" % each for each in range(100)) + b"after the end\n"


async def test_a_reader_that_blocks_holds_up_nobody_and_hears_how_much_was_dropped() -> None:
    with pipe() as (reading, writing):
        writer = Writer(writing, told, most=2 * PIPE)
        for _ in range(1_000):
            writer.put(LINE, urgent=False)
        lost = writer.dropped
        assert 0 < lost < 1_000
        whole = await heard(reading, told(lost))
        assert whole == LINE * (1_000 - lost) + told(lost)
        writer.put(b"calm\n", urgent=False)
        assert await heard(reading, b"calm\n") == b"calm\n"
        assert writer.dropped == lost


def test_a_blocked_reader_is_waited_for_by_one_warning_only() -> None:
    with pipe() as (reading, writing):
        writer = Writer(writing, told)
        for _ in range(2 * PIPE // len(LINE)):
            writer.put(LINE, urgent=False)
        for _ in range(10_000):  # of which each would wait for 100 ms
            writer.put(b"!\n", urgent=True)
        assert there(reading)


def test_lines_that_several_processes_write_to_one_pipe_are_not_torn() -> None:
    """Uses a pipe of packets, which shows each write by itself; a write up to PIPE_BUF is whole."""
    with pipe(os.O_DIRECT) as (reading, writing):
        writer = Writer(writing, told, shared=True)
        for length in (10, 3000, 1000, 200, 4095, 1):
            writer.put(b"y" * length + b"\n", urgent=False)
        writer.flush()
        writes = [there(reading) for _ in range(8)]
    assert sum(map(len, writes)) == 10 + 3000 + 1000 + 200 + 4095 + 1 + 6
    assert all(len(each) <= 4096 and each.endswith(b"\n") for each in writes if each)
    assert len([each for each in writes if each]) < 6


def test_a_disk_without_room_costs_lines_that_are_counted() -> None:
    with Path("/dev/full").open("w") as full:
        setup(full, pretty=False)
        structlog.get_logger().info("lost")
        structlog.get_logger().warning("lost")
        flush()
        assert dropped() == 2


def test_a_line_never_goes_to_another_file_that_got_the_streams_number(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        setup(stream, pretty=False)
        number = stream.fileno()
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_WRONLY)
    if other != number:  # another thread may have taken or freed a number meanwhile
        os.dup2(other, number)
        os.close(other)
    structlog.get_logger().warning("news")
    os.close(number)
    assert (tmp_path / "other").read_text() == ""
    assert json.loads((tmp_path / "log").read_text())["event"] == "news"


class Kept:
    """A sink that keeps what it gets, and whether it was urgent."""

    dropped = 0

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []

    def put(self, line: bytes, *, urgent: bool) -> None:
        self.lines.append((json.loads(line)["level"], urgent))

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_warnings_and_worse_are_urgent_whoever_says_them() -> None:
    sink = Kept()
    log = Log(sink, for_programs)
    use(log, "debug")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(structlog.get_logger(), level)("event")
    FromLibraries(log).handle(logging.makeLogRecord({"name": "aiohttp", "levelname": "ERROR"}))
    calm, urgent = [("debug", False), ("info", False)], [("warning", True), ("error", True)]
    assert sink.lines == [*calm, *urgent, ("critical", True), ("error", True)]


@pytest.mark.parametrize("value", ["half \ud83d", 2**70, "Ñandú\u2028", float("1.5"), None, [1, ("a", None)]])
def test_every_plain_value_is_one_line(value: Any) -> None:
    line = for_programs({"event": "e", "value": value})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["value"] == json.loads(json.dumps(value))


def test_a_logger_that_was_given_fields_says_them_in_each_line() -> None:
    with pipe() as (reading, writing):
        with open(writing, "w", closefd=False) as stream:
            setup(stream, pretty=False)
        structlog.get_logger(part="a").bind(more="b").warning("event", own="c")
        flush()
        line = json.loads(there(reading))
    assert (line["part"], line["more"], line["own"]) == ("a", "b", "c")
