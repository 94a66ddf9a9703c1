"""A PostgreSQL primary and its synchronous standby: each can be killed, promoted, restarted and filled up."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from tests.postgresql import free_port
from tests.replicas.links import run

_BIN: Final = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))
_SECONDS: Final = 60.0
_DISK: Final = "384m"
_NAME: Final = "michiq"
_ZEROS: Final = bytes(1 << 20)
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "min_wal_size": "16MB",
    "max_wal_size": "64MB",
    "wal_keep_size": "64MB",
    "checkpoint_timeout": "30s",
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
    "wal_retrieve_retry_interval": "500ms",
}


@dataclass(slots=True)
class Pair:
    """Two servers, each on a disk of its own; `primary` is the number of the one that takes writes.

    A server that ends by itself is started again after a second, as by a service manager.
    """

    folder: Path
    small_disks: bool
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    primary: int = 0
    processes: "list[subprocess.Popen[bytes] | None]" = field(default_factory=lambda: [None, None])
    held_down: set[int] = field(default_factory=set)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://postgres@{hosts}/{_NAME}?target_session_attrs=read-write&sslmode=disable"

    @property
    def port(self) -> int:
        return self.ports[self.primary]

    @asynccontextmanager
    async def admin(self, number: int | None = None, database: str = "postgres") -> AsyncIterator[Any]:
        """A connection of the superuser, by default to the primary."""
        port = self.port if number is None else self.ports[number]
        driver = await asyncpg.connect(
            host="127.0.0.1", port=port, user="postgres", database=database, timeout=5
        )
        try:
            yield driver
        finally:
            driver.terminate()

    async def start(self) -> None:
        for number in (0, 1):
            await self._make_disk(number)
        options = ("--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync")
        await run(*_as_owner("initdb", "-D", str(self._data(0)), "-U", "postgres", "-A", "trust", *options))
        with (self._data(0) / "postgresql.conf").open("a") as conf:
            conf.write("include_if_exists = 'synchronous.conf'\n")
        await self._synchronous(0, wanted=False)
        await self.begin(0)
        async with self.admin() as driver:
            await driver.execute(f"CREATE DATABASE {_NAME}")
        await self.make_standby()

    async def begin(self, number: int) -> None:
        """Starts a server, and waits until it answers."""
        self._spawn(number)
        self.held_down.discard(number)
        await self._until_answers(number)

    def kill(self, number: int) -> None:
        """Kills a server and all its processes, as by a loss of power; nobody starts it again."""
        self.held_down.add(number)
        process = self.processes[number]
        assert process is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    async def restart(self) -> None:
        """Ends the primary's sessions and starts it again, as for new settings."""
        process = self.processes[self.primary]
        assert process is not None
        self.held_down.add(self.primary)
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait)
        await self.begin(self.primary)

    async def promote(self) -> None:
        """Makes the standby the primary; until it has a standby itself, its commits wait for none."""
        number = 1 - self.primary
        await self._synchronous(number, wanted=False)
        async with self.admin(number) as driver:
            assert await driver.fetchval("SELECT pg_promote(true, 30)")
        self.primary = number

    async def make_standby(self) -> None:
        """Copies the primary to the other disk, starts it there, and makes commits wait for it."""
        number = 1 - self.primary
        data = self._data(number)
        await asyncio.to_thread(shutil.rmtree, data, ignore_errors=True)
        await run(
            *_as_owner("pg_basebackup", "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port)),
            *("-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync"),
        )
        await self.begin(number)
        async with asyncio.timeout(_SECONDS):
            while not await self._streams():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await self._synchronous(self.primary, wanted=True)

    async def end_sessions(self) -> int:
        """Ends every session of the replicas, and returns how many there were."""
        async with self.admin() as driver:
            ended = await driver.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", _NAME
            )
            return len(ended)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fills the primary's disk to its last byte while the block runs."""
        filler = self._disk(self.primary) / "filler"
        try:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(_ZEROS[: shutil.disk_usage(filler.parent).free or 1]):
                    pass
            yield
        finally:
            filler.unlink()

    async def keep(self) -> None:
        """Starts a server again that has ended, for ever."""
        while True:
            await asyncio.sleep(1)
            for number, process in enumerate(self.processes):
                if process is not None and process.poll() is not None and number not in self.held_down:
                    self._spawn(number)

    def end(self) -> None:
        for number, process in enumerate(self.processes):
            if process is not None and process.poll() is None:
                self.kill(number)
            if self._disk(number).is_mount():
                subprocess.run(["umount", "-l", self._disk(number)], check=False)

    def _spawn(self, number: int) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self._disk(number))}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        data, port = str(self._data(number)), str(self.ports[number])
        with (self.folder / f"postgresql-{number}.log").open("ab") as log:
            self.processes[number] = subprocess.Popen(
                _as_owner("postgres", "-D", data, "-p", port, *options),
                stdout=log,
                stderr=log,
                cwd="/",
                process_group=0,
            )

    async def _synchronous(self, number: int, *, wanted: bool) -> None:
        text = f"synchronous_standby_names = '{'*' if wanted else ''}'\n"
        (self._data(number) / "synchronous.conf").write_text(text)
        process = self.processes[number]
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGHUP)

    async def _streams(self) -> bool:
        async with self.admin() as driver:
            return bool(
                await driver.fetchval("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
            )

    async def _until_answers(self, number: int) -> None:
        async with asyncio.timeout(_SECONDS):
            while True:
                try:
                    async with self.admin(number) as driver:
                        await driver.execute("SELECT 1")
                        return
                except (OSError, asyncpg.PostgresError, TimeoutError):
                    await asyncio.sleep(0.1)

    async def _make_disk(self, number: int) -> None:
        disk = self._disk(number)
        disk.mkdir()
        if self.small_disks:
            await run("mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(disk))
        shutil.chown(disk, "postgres", "postgres")

    def _disk(self, number: int) -> Path:
        return self.folder / f"disk-{number}"

    def _data(self, number: int) -> Path:
        return self._disk(number) / "data"


def _as_owner(program: str, *arguments: str) -> list[str]:
    # The server refuses to run as root. It ends when this process does, however that ends.
    user = ("--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "QUIT")
    return ["setpriv", *user, str(_BIN / program), *arguments]
