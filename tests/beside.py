"""Processes that serve side by side, and the desk of their parent: all of them in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from proxy.mapping.table import Table
from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.server.listener import open_sockets
from proxy.server.sockets import ADMIN, LISTEN, SharedResources
from proxy.settings import Settings
from proxy.supervisor.lock_server import LockServer, RemoteLocks
from proxy.web.service import running
from tests.conftest import Api, Clock, edited_table, settings_for


class Office:
    """A lock server and its processes, in one: messages arrive at once, and are recorded."""

    def __init__(self) -> None:
        self.desk = LockServer()
        self.processes: dict[str, RemoteLocks] = {}
        self.said: list[dict[str, object]] = []

    def process(self, name: str) -> RemoteLocks:
        self.processes[name] = RemoteLocks(lambda **message: self._hear(name, **message))
        return self.processes[name]

    def kill(self, name: str) -> None:
        del self.processes[name]
        for who, number in self.desk.forget(name):
            self.processes[who].grant(number)

    def _hear(self, name: str, **message: object) -> None:
        self.said.append(message)
        match message:
            case {"ask": int(number), "key": str(key)}:
                if self.desk.ask((name, number), key):
                    self.processes[name].grant(number)
            case {"give_back": int(number)} if name in self.processes:
                if (granted := self.desk.give_back((name, number))) is not None:
                    self.processes[granted[0]].grant(granted[1])


@dataclass(frozen=True, slots=True)
class Site:
    """The parts that all workers share."""

    sandbox: Sandbox
    http: aiohttp.ClientSession
    settings: Settings = field(repr=False)
    table: Table
    office: Office
    clock: Clock = field(default_factory=Clock)

    @asynccontextmanager
    async def worker(self, name: str) -> AsyncIterator[Api]:
        """Runs one of the workers; its sockets are its own, so that a test chooses the one that answers."""
        sockets = open_sockets(LISTEN, *self.settings.listen), open_sockets(ADMIN, self.settings.admin_listen)
        place = SharedResources(*sockets, locks=self.office.process(name))
        async with running(self.settings, self.table, self.clock, shared=place) as proxy:
            yield Api(proxy, self.sandbox, self.http, self.clock)


@asynccontextmanager
async def site(folder: Path, office: Office, **environ: str) -> AsyncIterator[Site]:
    given = {"MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(), **environ}
    async with run_sandbox(SandboxConfig()) as sandbox, aiohttp.ClientSession() as http:
        settings = settings_for(folder, sandbox.llamalitica.url, sandbox.llamachat.url, **given)
        yield Site(sandbox, http, settings, edited_table(folder / "mappings", {}), office)


@asynccontextmanager
async def two_proxies(folder: Path, office: Office, **environ: str) -> AsyncIterator[tuple[Api, Api]]:
    """Runs two workers on one store."""
    async with (
        site(folder, office, **environ) as place,
        place.worker("one") as one,
        place.worker("other") as other,
    ):
        yield one, other
