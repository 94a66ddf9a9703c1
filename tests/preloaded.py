"""A fork server that has imported all modules already: proxies under test get copies of it.

Each proxy of `make run` starts a fork server of its own, which takes a second of processor. Tests start
thousands of proxies. `tests/isolated` and all tests of commands use the real start.
"""

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final

from proxy.isolated import forkserver

MODULES: Final = (
    "proxy.flows.shared.offload",
    "proxy.flows.new_case.documents",
    "proxy.flows.query.planning",
    "proxy.flows.shared.json_body",
    "proxy.store.blobs.recording_file",
)
_COMMAND: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path'];from tests.preloaded import main; main()"
)
_MAX_ORDER: Final = 64 * 1024


class Copy:
    """A fork server that is no child of this process."""

    def __init__(self, pid: int) -> None:
        self._pidfd = os.pidfd_open(pid)

    def wait(self, timeout: float | None = None) -> int:
        waiting = select.poll()
        waiting.register(self._pidfd, select.POLLIN)
        if not waiting.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired("a copied fork server", timeout or 0)
        os.close(self._pidfd)
        return 0

    def kill(self) -> None:
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


class Preloaded:
    """The process that is copied; started at first use."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def launched(self, order: Mapping[str, Any]) -> Copy:
        """Stands in for `spawner.launched`."""
        with self._lock:
            control = self._control or self._start()
            socket.send_fds(control, [json.dumps(order).encode()], [order["control"]])
            return Copy(int(control.recv(32)))

    def close(self) -> None:
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait(10)

    def _start(self) -> socket.socket:
        # Messages keep their borders: an order is longer than one read of a stream.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argument = json.dumps({"path": sys.path, "control": theirs.fileno()})
            self._process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, argument],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        return self._control


def main() -> None:
    """Makes a copy of this process for each order, until the tests are over."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no copy is waited for here
    forkserver.prepare(MODULES)
    gc.collect()
    gc.freeze()  # each copy collects once: what all of them share is not walked, nor copied, again
    control = socket.socket(fileno=json.loads(sys.argv[1])["control"])
    while True:
        order, files, _, _ = socket.recv_fds(control, _MAX_ORDER, 1)
        if not order:
            return
        pid = os.fork()
        if not pid:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            forkserver.serve({**json.loads(order), "control": files[0]})
            os._exit(0)
        os.close(files[0])
        control.send(str(pid).encode())
