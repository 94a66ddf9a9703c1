"""Makes isolated processes: a small process of one thread imports all modules, and forks itself.

It is a program of its own, so no data of the serving process is in its memory, and no secrets are in its
environment.
"""

import gc
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, Final

from proxy.isolated import confinement, process

COMMAND: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path'];"
    "from proxy.isolated.forkserver import main; main()"
)
MAX_MESSAGE: Final = 4096
_LAZY: Final = ("encodings", "av")
_LATE: Final = "IMPORTED_LATE"  # a module's list of the modules that it imports in its functions
_NEVER: Final = frozenset({"__main__", "mbcs", "oem"})  # a program, and modules for Windows only


def main() -> None:
    """Serves the process that started this one, over the descriptor that the first argument names."""
    serve(json.loads(sys.argv[1]))


def serve(order: Mapping[str, Any]) -> None:
    """Imports the modules of the order, and serves its control socket until the other end is closed."""
    for each in (signal.SIGINT, signal.SIGTERM):  # sent by a terminal or a service manager to the whole group
        # The serving process finishes its requests, then this one ends.
        signal.signal(each, signal.SIG_IGN)
    prepare(order["modules"])
    gc.collect()
    gc.freeze()  # a collection in a child would copy all shared memory
    _ForkServer(socket.socket(fileno=order["control"]), order["readable"]).serve()


def prepare(modules: Iterable[str]) -> None:
    """Imports the modules, and those that they would import later, when a process can open no file."""
    _import_whole(modules)
    time.tzset()


def _import_whole(modules: Iterable[str]) -> None:
    _import(modules)
    for module in list(sys.modules.values()):
        _import(getattr(module, _LATE, ()))
    _import(_late())


def _late() -> Iterable[str]:
    """Returns the modules that their packages import at first use, when a process can open no file."""
    return [module for package in _LAZY if package in sys.modules for module in _inside(package)]


@cache  # a new process waits for this: what is installed is walked once
def _inside(package: str) -> Sequence[str]:
    """Returns the names of a package's modules, of any depth."""
    walked = pkgutil.walk_packages(sys.modules[package].__path__, f"{package}.")
    return [module.name for module in walked if module.name.rpartition(".")[2] not in _NEVER]


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        import_module(name)


class _ForkServer:
    """The fork server's children, each by the pipe that closes when the serving process ends the child."""

    def __init__(self, control: socket.socket, readable: Sequence[str]) -> None:
        self._control = control
        self._readable = readable
        self._missing = confinement.missing()
        self._children: dict[int, int] = {}  # by their pipe
        self._woken, waking = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._control, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def serve(self) -> None:
        """Serves until the serving process has ended; then ends the children, too."""
        while True:
            # One event at a time: a pipe that one closes may leave its number to a new pipe.
            descriptor, _ = self._poll.poll()[0]
            if descriptor == self._woken:
                self._reap()
            elif descriptor in self._children:
                self._kill(descriptor)
            elif not self._answer():
                return self._end()

    def _answer(self) -> bool:
        message, files, _, _ = socket.recv_fds(self._control, MAX_MESSAGE, 2)
        if not message:
            return False
        try:
            _import_whole(json.loads(message)["modules"])
            self._fork(*files)
        except (ImportError, OSError) as error:
            os.close(files[1])
            self._reply({"error": type(error).__name__})
        else:
            self._reply({"missing": self._missing})
        finally:
            os.close(files[0])
        return True

    def _reply(self, message: dict[str, Any]) -> None:
        # If the serving process has ended meanwhile, the next look at its end of the socket says so.
        with suppress(BrokenPipeError):
            self._control.sendall(json.dumps(message).encode())

    def _fork(self, channel: int, pipe: int) -> None:
        child = os.fork()
        if not child:
            signal.set_wakeup_fd(-1)
            process.run(channel, self._readable)
        self._children[pipe] = child
        self._poll.register(pipe, 0)  # POLLHUP alone

    def _kill(self, pipe: int) -> None:
        child = self._children.pop(pipe)
        self._poll.unregister(pipe)
        os.close(pipe)
        os.kill(child, signal.SIGKILL)  # not reaped yet, so the number still belongs to it
        os.waitpid(child, 0)

    def _reap(self) -> None:
        """Removes the children that have ended by themselves."""
        with suppress(BlockingIOError):
            while os.read(self._woken, 512):
                pass
        for pipe, child in list(self._children.items()):
            if os.waitpid(child, os.WNOHANG)[0]:
                del self._children[pipe]
                self._poll.unregister(pipe)
                os.close(pipe)

    def _end(self) -> None:
        for pipe in list(self._children):
            self._kill(pipe)
