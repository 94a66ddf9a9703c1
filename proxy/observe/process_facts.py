"""Reads the facts of this process: processor, memory, open files, start, as far as the system shows them."""

import os
import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import Metric

from proxy import __version__
from proxy.observe.counters import counter, gauge

_PROC: Final = Path("/proc")
_SELF: Final = _PROC / "self"


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The facts of this process now; memory in bytes, times in seconds. None is what the system hides."""

    version: str
    cpu_seconds: float
    memory: int | None
    open_files: int | None
    most_files: int
    started_at: float | None


def process_facts() -> ProcessFacts:
    memory = open_files = started_at = None
    with suppress(OSError):
        memory = int((_SELF / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        open_files = sum(1 for _ in (_SELF / "fd").iterdir()) - 1  # without the listing's own
        started_at = _started_at()
    return ProcessFacts(
        version=__version__,
        cpu_seconds=time.process_time(),
        memory=memory,
        open_files=open_files,
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        started_at=started_at,
    )


def process_families(facts: ProcessFacts) -> list[Metric]:
    """Returns the facts for Prometheus."""
    found = [
        gauge("michiq_build_info", "1, for the release that runs", {(facts.version,): 1}, ("version",)),
        counter("michiq_process_cpu_seconds", "Processor time, user and system", facts.cpu_seconds),
        gauge("michiq_process_max_fds", "Most open files", facts.most_files),
    ]
    shown = {
        "michiq_process_resident_memory_bytes": ("Resident memory", facts.memory),
        "michiq_process_open_fds": ("Open files", facts.open_files),
        "michiq_process_start_time_seconds": ("Start of the process since 1970", facts.started_at),
    }
    return found + [gauge(name, about, value) for name, (about, value) in shown.items() if value is not None]


def _started_at() -> float:
    ticks = int((_SELF / "stat").read_text().rpartition(")")[2].split()[19])
    booted = next(each for each in (_PROC / "stat").read_text().splitlines() if each.startswith("btime "))
    return float(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
