"""A worker as its parent sees it: a process of its own, and the channel to it."""

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import proxy
from proxy.server.sockets import SharedResources
from proxy.supervisor.channel import Channel

# A worker imports the parent's package, and nothing from the folder where the parent runs.
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv.pop(1)); from proxy.cli import main; main(prog_name='michiq-proxy')"
)
_PACKAGES: Final = str(Path(proxy.__file__).parents[1])


@dataclass(eq=False, slots=True)
class Worker:
    """A worker process: `urls` are where it serves, once it is `up`; without any, it has ended instead."""

    name: str
    channel: Channel
    process: Process
    up: asyncio.Event = field(default_factory=asyncio.Event)
    urls: tuple[str, ...] = ()
    since: float = 0.0  # the start of its service, by the loop's clock

    def ready(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self.up.set()

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()

    async def ended(self, on_message: "OnMessage") -> int:
        """Passes its messages on until it ends; returns its exit code."""
        async for message in self.channel.messages():
            on_message(self, message)
        code = await self.process.wait()
        self.channel.close()
        self.up.set()
        return code


OnMessage: TypeAlias = Callable[[Worker, dict[str, Any]], None]


async def start(name: str, shared: SharedResources) -> Worker:
    """Starts a process with the shared sockets, in a session of its own: Ctrl+C is for the parent."""
    ours, theirs = socket.socketpair()
    with theirs:
        options = [("line", theirs), *_descriptors(shared)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM, _PACKAGES, "serve"),
            *(f"--{option}={each.fileno()}" for option, each in options),
            pass_fds=[each.fileno() for _, each in options],
            start_new_session=True,
            stdin=DEVNULL,
        )
    return Worker(name, await Channel.over(ours), process)


def _descriptors(shared: SharedResources) -> list[tuple[str, socket.socket]]:
    groups = {"listen": shared.listen, "admin": shared.admin, "status": shared.status}
    return [(option, each) for option, sockets in groups.items() for each in sockets]
