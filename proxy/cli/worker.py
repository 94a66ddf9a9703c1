"""A worker as its parent sees it: a process of its own, and the line to it."""

import asyncio
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import proxy
from proxy.line import Channel
from proxy.web.place import Place

# The package is found where the parent's is, and nothing is found in the folder where the parent runs.
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv.pop(1)); from proxy.cli import main; main(prog_name='michiq-proxy')"
)
_PACKAGES: Final = str(Path(proxy.__file__).parents[1])


@dataclass(eq=False, slots=True)
class Worker:
    """`urls` are where it serves, once it is `up`; it is up, too, when it has ended instead."""

    name: str
    line: Channel
    process: Process
    up: asyncio.Event = field(default_factory=asyncio.Event)
    urls: tuple[str, ...] = ()
    since: float = 0.0  # it serves, by the loop's clock

    def ready(self, urls: Sequence[str]) -> None:
        self.urls = tuple(urls)
        self.up.set()

    def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()

    async def ended(self, hear: "Hear") -> int:
        """Hears it to its end; its exit code."""
        async for message in self.line.messages():
            hear(self, message)
        code = await self.process.wait()
        self.line.close()
        self.up.set()
        return code


Hear: TypeAlias = Callable[[Worker, dict[str, Any]], None]


async def start(name: str, place: Place) -> Worker:
    """A new process at the sockets of `place`, in a session of its own: Ctrl+C is for the parent."""
    ours, theirs = socket.socketpair()
    with theirs:
        options = [("line", theirs), *_shared(place)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM, _PACKAGES, "serve"),
            *(f"--{option}={each.fileno()}" for option, each in options),
            pass_fds=[each.fileno() for _, each in options],
            start_new_session=True,
            stdin=DEVNULL,
        )
    return Worker(name, await Channel.over(ours), process)


def _shared(place: Place) -> list[tuple[str, socket.socket]]:
    groups = {"listen": place.listen, "admin": place.admin, "status": place.status}
    return [(option, each) for option, sockets in groups.items() for each in sockets]
