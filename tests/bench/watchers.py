"""Clients of the event stream of the operator's page, on the load's core."""

import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.bench import machine
from tests.bench.client import request
from tests.bench.processes import ADMIN_TOKEN, ROOT, Peer, admin_port

_TICK: Final = b"event: tick\n"


class Watchers:
    """A process with clients of the stream; after its end, `counted` says what came in how many seconds."""

    def __init__(self, process: "subprocess.Popen[bytes] | None") -> None:
        self._process = process

    def counted(self) -> tuple[int, float]:
        if self._process is None:
            return 0, 0.0
        assert self._process.stdout
        count, seconds = self._process.stdout.read().split()
        return int(count), float(seconds)


@contextmanager
def watching(peer: Peer, count: int) -> Iterator[Watchers]:
    """Has that many clients read the peer's events while the block runs."""
    if not count:
        yield Watchers(None)
        return
    command = [sys.executable, "-m", "tests.bench.watchers", str(admin_port(peer)), str(count)]
    with machine.on_core(machine.LOAD_CORE):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield Watchers(process)
    finally:
        process.terminate()
        process.wait(10)


def main(port: int, count: int) -> None:
    """Reads events until SIGTERM; prints their number, and the seconds in which they came."""
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    ask = request("GET", "/admin/v1/events", {"Authorization": f"Bearer {ADMIN_TOKEN}"})
    events, started = 0, time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(ask)
            selector.register(client, selectors.EVENT_READ)
        while not ended:
            for key, _ in selector.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65536)
                if not data:
                    raise SystemExit("a stream ended")
                events += data.count(_TICK)
    sys.stdout.write(f"{events} {time.perf_counter() - started}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
