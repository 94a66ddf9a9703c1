"""Cores, and what processes take of processor and memory, read from /proc."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MB: Final = 1_000_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_AVAILABLE: Final = sorted(os.sched_getaffinity(0))
# The peer under test has a core alone; load generators and fake upstreams share the other one.
PEER_CORE: Final = _AVAILABLE[0]
LOAD_CORE: Final = _AVAILABLE[-1]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Holds this thread, and every process that it starts meanwhile, to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tree(pid: int) -> list[int]:
    """Returns the process and its descendants."""
    return [pid, *_descendants(pid)]


def _descendants(pid: int) -> Iterator[int]:
    """A child is listed under the thread that started it."""
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(listed).split()):
            yield child
            yield from _descendants(child)


def processor(pids: Sequence[int]) -> float:
    """Returns the seconds of processor that the processes have taken, in steps of a clock tick."""
    found = (_read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split() for pid in pids)
    return sum(int(fields[11]) + int(fields[12]) for fields in found if fields) / _TICKS


def exact_processor(pids: Sequence[int]) -> float:
    """Returns the same to the nanosecond, of the threads that are alive."""
    files = (each for pid in pids for each in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(text.split()[0]) for text in map(_read, files) if text) / 1e9


def memory(pid: int, counter: str) -> int:
    """Returns a counter of /proc/PID/status in bytes; 0 for a process that has ended."""
    found = re.search(rf"^{counter}:\s+(\d+) kB", _read(Path(f"/proc/{pid}/status")), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def proportional(pids: Sequence[int]) -> int:
    """Returns the bytes of memory (PSS) of all processes, with what they share counted once."""
    texts = (_read(Path(f"/proc/{pid}/smaps_rollup")) for pid in pids)
    return sum(int(found[1]) * 1024 for text in texts if (found := re.search(r"^Pss:\s+(\d+)", text, re.M)))


def forget_peaks(pids: Sequence[int]) -> None:
    """Lets the high-water marks (VmHWM) begin again."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
