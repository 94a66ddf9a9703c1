"""Processes that serve side by side, and the desk of their parent: all of them in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from cryptography.fernet import Fernet

from proxy.desk import Desk, DeskLocks
from proxy.sandbox import SandboxConfig, run_sandbox
from proxy.settings import Settings
from proxy.web.listening import open_sockets
from proxy.web.place import Place
from proxy.web.server import running
from tests.conftest import Api, Clock, edited_table, settings_for


class Office:
    """A desk and its processes, in one: what they send arrives at once, and is kept."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.processes: dict[str, DeskLocks] = {}
        self.said: list[dict[str, object]] = []

    def process(self, name: str) -> DeskLocks:
        self.processes[name] = DeskLocks(lambda **message: self._hear(name, **message))
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


@asynccontextmanager
async def two_proxies(folder: Path, office: Office, **environ: str) -> AsyncIterator[tuple[Api, Api]]:
    """Two workers on one store; each with sockets of its own, so that a test says who answers."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(run_sandbox(SandboxConfig()))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        given = {"MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(), **environ}
        settings = settings_for(folder, sandbox.llamalitica.url, sandbox.llamachat.url, **given)
        table, clock = edited_table(folder / "mappings", {}), Clock()
        apis = []
        for name in ("one", "other"):
            place = _place(settings, office.process(name))
            proxy = await stack.enter_async_context(running(settings, table, clock, place=place))
            apis.append(Api(proxy, sandbox, http, clock))
        yield apis[0], apis[1]


def _place(settings: Settings, locks: DeskLocks) -> Place:
    return Place(open_sockets(settings.listen), open_sockets(settings.admin_listen), locks)
