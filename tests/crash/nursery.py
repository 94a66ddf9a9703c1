"""Proxies that start quickly: forked from a process that has imported everything (`tests.crash.births`).

A start costs half of what it costs otherwise, which is what lets `make test` have so many of them.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Born:
    """A child, as `asyncio.subprocess.Process` would have it."""

    pid: int
    ended: "asyncio.Task[int]"

    @property
    def returncode(self) -> int | None:
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        # The number of one that is gone may be another process's.
        if not self.ended.done():
            os.kill(self.pid, number)


@dataclass
class Nursery:
    """Has one child at a time."""

    process: Process

    async def start(self) -> Born:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b"\n")
        pid = int(await self.process.stdout.readline())
        return Born(pid, asyncio.create_task(self._ended(), name="child"))

    async def _ended(self) -> int:
        """Returns the child's exit code; that of a kill if the nursery ended first and can't say."""
        assert self.process.stdout
        return int(await self.process.stdout.readline() or -signal.SIGKILL)


@asynccontextmanager
async def nursery(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Nursery]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.crash.births", str(folder)),
        cwd=folder,
        env=environ,
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        yield Nursery(process)
    finally:
        process.kill()
        await process.wait()
