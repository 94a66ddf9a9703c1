"""Real PostgreSQL servers for tests: one for each test process, with a database for each test."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg

from proxy.postgresql_url import parse_postgresql_url
from proxy.store.sql.postgresql.connections import server_at
from proxy.store.sql.postgresql.migrating import connected, migrate
from tests.certificates import Made

_BIN: Final = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))
_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 1 << 30
_SECONDS: Final = 30.0
_TEMPLATE: Final = "michiq_template"
# Few tests need the server's own defaults, and all need it to be quick.
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "log_min_messages": "warning",
}


_END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_NO_ROWS: Final = """
    DO $$ DECLARE name text; BEGIN
      PERFORM set_config('session_replication_role', 'replica', true);  -- no trigger, and no foreign key
      FOR name IN
        SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
      LOOP
        EXECUTE format('DELETE FROM %I', name);
      END LOOP;
      FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
        PERFORM setval(quote_ident(name)::regclass, 1, false);
      END LOOP;
    END $$
"""


@dataclass(slots=True)
class Postgresql:
    """A running server; its superuser is `postgres`, and asks for no password on the loopback."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"
    settings: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _free: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres", *, port: int | None = None, user: str = "postgres") -> str:
        """The setting of a store in this database."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    @asynccontextmanager
    async def admin(self, database: str = "postgres") -> AsyncIterator[Any]:
        """A connection of the superuser."""
        driver = await asyncpg.connect(host="127.0.0.1", port=self.port, user="postgres", database=database)
        try:
            yield driver
        finally:
            await driver.close()

    async def new(self, *, template: str = _TEMPLATE) -> str:
        """Makes a database with this release's schema, and returns its name."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        async with self.admin() as driver:
            if template == _TEMPLATE and not await driver.fetch(
                "SELECT 1 FROM pg_database WHERE datname = $1", template
            ):
                await driver.execute(f"CREATE DATABASE {template}")
                await make_schema(self.url(template))
            await driver.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    async def used_again(self) -> str:
        """Returns a database with this release's schema and no rows; others may have used it before."""
        if not self._free:
            return await self.new()
        name = self._free.pop()
        async with self.admin(name) as driver:
            await driver.execute(_END_OTHERS)
            await driver.execute(_NO_ROWS)
        return name

    def give_back(self, name: str) -> None:
        """Lets `used_again` return the database; its schema must be as it was."""
        self._free.append(name)

    async def drop(self, name: str) -> None:
        async with self.admin() as driver:
            await driver.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def terminate(self, name: str) -> int:
        """Ends all connections to the database; returns how many there were."""
        ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1"
        async with self.admin() as driver:
            return len(await driver.fetch(ended, name))

    async def bytes_of(self, name: str) -> list[bytes]:
        """Returns the bytes of the files of the database's tables; all databases share the server's log."""
        async with self.admin() as driver:
            await driver.execute("CHECKPOINT")
            number = await driver.fetchval("SELECT oid FROM pg_database WHERE datname = $1", name)
        files = self.folder / "data" / "base" / str(number)
        return [path.read_bytes() for path in files.iterdir()]

    def kill(self) -> None:
        """Kills the server and all its processes, as by a loss of power."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def start_again(self) -> None:
        self.process = _started(self.folder, self.port, self.settings)
        _until_ready(self.port, self.process)


async def make_schema(url: str) -> None:
    engine = server_at(parse_postgresql_url(url)).engine()
    async with connected(engine) as conn:
        await migrate(conn)


@contextmanager
def postgresql(
    *, in_memory: bool = True, certificate: Made | None = None, **settings: str
) -> Iterator[Postgresql]:
    """Starts a server with a new cluster, and removes all of it at the end.

    `in_memory` puts its files where fsync costs nothing: the server still has fsync on.
    """
    with _folder(in_memory=in_memory) as folder:
        _run(_as_owner(folder, "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", *_INIT))
        if certificate is not None:
            settings |= _with_tls(folder, certificate)
        port = free_port()
        process = _started(folder, port, settings)
        server = Postgresql(folder, port, process, settings)
        try:
            _until_ready(port, process)
            yield server
        finally:
            server.process.send_signal(signal.SIGQUIT)
            server.process.wait()


def _with_tls(folder: Path, certificate: Made) -> dict[str, str]:
    """Gives the server a certificate; returns the settings."""
    files = {"ssl_cert_file": certificate.certificate, "ssl_key_file": certificate.key}
    for name, path in files.items():
        copy = folder / name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(copy, "postgres", "postgres")
    return {"ssl": "on", **{name: str(folder / name) for name in files}}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


_INIT: Final = ("--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")


@contextmanager
def _folder(*, in_memory: bool) -> Iterator[Path]:
    near = in_memory and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix="michiq-postgresql-", dir=_MEMORY if near else None))
    try:
        if os.getuid() == 0:
            owner = pwd.getpwnam("postgres")  # the server refuses to run as root
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(folder: Path, port: int, settings: dict[str, str]) -> "subprocess.Popen[bytes]":
    merged = {**_SETTINGS, **settings, "unix_socket_directories": str(folder)}
    options = [part for name, value in merged.items() for part in ("-c", f"{name}={value}")]
    command = _as_owner(folder, "postgres", "-D", folder / "data", "-p", str(port), *options)
    with (folder / "log").open("ab") as log:
        # A group of its own: a test may kill the whole server at once.
        return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", process_group=0)


def _as_owner(folder: Path, program: str, *arguments: Path | str) -> list[str]:
    command = [str(_BIN / program), *map(str, arguments)]
    if os.getuid() != 0:
        return command
    # The server ends when the test process does, however that ends.
    user = ("--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "QUIT")
    return ["setpriv", *user, *command]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr.decode()


def _until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "PostgreSQL has ended: see its log"
        try:
            asyncio.run(_connected(port))
        except (OSError, asyncpg.PostgresError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError("PostgreSQL does not answer")


async def _connected(port: int) -> None:
    await (await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", database="postgres")).close()
