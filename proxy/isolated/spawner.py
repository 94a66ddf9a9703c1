"""Starts the fork server and makes it fork isolated processes, from the event loop and without threads."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final, Protocol

import structlog

from proxy.isolated import forkserver
from proxy.isolated.channel import TaskChannel

_START_SECONDS: Final = 15.0
_END_SECONDS: Final = 5.0
# The fork server gets only these variables: the others hold keys and tokens.
_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX")

_log: Final = structlog.get_logger("proxy.isolated")


class Server(Protocol):
    """A fork server's process."""

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


class SpawnError(Exception):
    """A process could not be made; `cause` is the name of an error's type."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Spawner:
    """The fork server, which is started at first use, and again after it was lost.

    `modules` are imported in it once, and shared by all processes; `readable` are the folders whose files
    they may read.
    """

    def __init__(self, modules: Sequence[str], readable: Sequence[str]) -> None:
        self._modules = list(modules)
        self._readable = list(readable)
        self._server: Server | None = None
        self._control: socket.socket | None = None
        self._one_at_a_time = asyncio.Lock()
        self._warned = False

    def learn(self, module: str) -> None:
        """Adds a module to those of all processes that are made from now on."""
        if module not in self._modules:
            self._modules.append(module)

    async def spawn(self) -> TaskChannel:
        """Returns the channel of a new process, which dies when the channel closes; raises SpawnError."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    return await self._spawned_again()
            except (OSError, ValueError) as error:  # with TimeoutError
                await self._stop()
                raise SpawnError(type(error).__name__) from None

    async def close(self) -> None:
        async with self._one_at_a_time:
            await self._stop()

    async def _spawned_again(self) -> TaskChannel:
        try:
            return await self._spawned(self._control or self._start())
        except ConnectionError:
            await self._stop()
            return await self._spawned(self._start())

    async def _spawned(self, control: socket.socket) -> TaskChannel:
        with ExitStack() as on_failure:
            ours, theirs = socket.socketpair()
            reading, writing = os.pipe()
            channel = TaskChannel(ours, writing)
            on_failure.callback(channel.close)
            with theirs, ExitStack() as sent:
                sent.callback(os.close, reading)
                message = json.dumps({"modules": self._modules}).encode()
                socket.send_fds(control, [message], [theirs.fileno(), reading])
                self._check(await asyncio.get_running_loop().sock_recv(control, forkserver.MAX_MESSAGE))
            on_failure.pop_all()
            return channel

    def _check(self, reply: bytes) -> None:
        if not reply:
            raise ConnectionResetError
        answer: dict[str, Any] = json.loads(reply)
        if error := answer.get("error"):
            raise SpawnError(error)
        if answer["missing"] and not self._warned:
            self._warned = True
            _log.warning("isolation_incomplete", missing=answer["missing"])

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        order = {
            "path": sys.path,
            "modules": self._modules,
            "readable": self._readable,
            "control": theirs.fileno(),
        }
        with theirs:
            self._server = launched(order)
        ours.settimeout(0)
        self._control = ours
        return ours

    async def _stop(self) -> None:
        """Ends the fork server, and all processes with it."""
        control, self._control = self._control, None
        server, self._server = self._server, None
        if control is not None:
            control.close()
        if server is not None:
            await asyncio.to_thread(_ended, server)


def launched(order: Mapping[str, Any]) -> Server:
    """Starts a fork server with this order."""
    return subprocess.Popen(  # noqa: S603 - Python itself
        [sys.executable, "-c", forkserver.COMMAND, json.dumps(order)],
        pass_fds=[order["control"]],
        stdin=subprocess.DEVNULL,
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    return {
        name: text
        for name, text in os.environ.items()
        if name in _ENVIRONMENT or (name.startswith("PYTHON") and name != "PYTHONPATH")
    }


def _ended(server: Server) -> None:
    try:
        server.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
