"""The fake upstreams: `python -m tests.bench.upstream` answers as Llamalitica, LlamaChat and the old server.

One process, cheap enough to be no bottleneck: a body is counted and looked at by its last bytes alone, unless
a checker asks for the last one in whole. With `--tls` it is served over TLS, behind a relay that is
`--round-trip` milliseconds long.
"""

import argparse
import asyncio
import json
import ssl
import sys
from typing import Any, Final, cast

import uvloop

from tests.bench.answers import FORMS, State, answered, route_of, value_of
from tests.bench.relay import relay

_END: Final = 128  # bytes of a form that are looked at


class Connection(asyncio.Protocol):
    """Answers one request after another; a large body is never copied."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._data = b""  # what was read, and how much of it is used
        self._at = 0
        self._head: bytes | None = None
        self._route = ""
        self._left = 0  # bytes of the body or the chunk
        self._chunked = False
        self._body = bytearray()
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._state.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self._data = self._data[self._at :] + data if self._at < len(self._data) else data
        self._at = 0
        while not self._busy and self._step():
            pass

    def _step(self) -> bool:
        """Uses what it can of the bytes read; False where more must come."""
        if self._head is None:
            return self._begin()
        if self._left:
            return self._collect()
        if self._chunked:
            return self._next_chunk()
        self._end()
        return True

    def _begin(self) -> bool:
        end = self._data.find(b"\r\n\r\n", self._at)
        if end < 0:
            return False
        self._head = self._data[self._at : end + 2]
        self._at = end + 4
        self._chunked = value_of(self._head, b"transfer-encoding") == b"chunked"
        self._left = int(value_of(self._head, b"content-length") or b"0")
        self._route = route_of(self._head)
        return True

    def _next_chunk(self) -> bool:
        """Reads a chunk's size, and the line's end of the chunk before it; the last one has an empty line."""
        start = self._at + 2 if self._data.startswith(b"\r\n", self._at) else self._at
        end = self._data.find(b"\r\n", start)
        if end < 0:
            return False
        self._left = int(self._data[start:end].split(b";")[0], 16)
        if self._left:
            self._at = end + 2
            return True
        if not self._data.startswith(b"\r\n", end + 2):
            return False
        self._at = end + 4
        self._end()
        return True

    def _collect(self) -> bool:
        """JSON is kept whole; of a form only the end is, unless a checker wants it."""
        taken = min(self._left, len(self._data) - self._at)
        end = self._at + taken
        whole = self._route not in FORMS or self._state.keep
        self._body += self._data[self._at if whole else max(self._at, end - _END) : end]
        if not whole:
            del self._body[:-_END]
        self._state.counts["bytes"] += taken
        self._left -= taken
        self._at = end
        return not self._left

    def _end(self) -> None:
        assert self._head is not None
        head, body, route, state = self._head, bytes(self._body), self._route, self._state
        self._head = None
        self._body.clear()
        state.counts[route] += 1
        if state.keep and route in FORMS:
            state.last, state.last_type = body, value_of(head, b"content-type").decode()
        status, answer = answered(state, route, head, body)
        if status >= 400:
            state.counts["refused"] += 1
        if state.delay and route != "control":
            self._busy = True
            asyncio.get_running_loop().call_later(state.delay, self._late, status, answer)
        else:
            self._write(status, answer)

    def _late(self, status: int, answer: bytes) -> None:
        self._busy = False
        self._write(status, answer)
        self.data_received(b"")

    def _write(self, status: int, answer: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 %d Answered\r\nContent-Type: application/json\r\nX-Request-Id: bench-1\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (status, len(answer), answer)
        )


async def _serve(tls: ssl.SSLContext | None, round_trip: float) -> None:
    loop, state = asyncio.get_running_loop(), State()
    ports = []
    for _ in ("new", "legacy"):
        server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, ssl=tls, backlog=4096)
        port: int = server.sockets[0].getsockname()[1]
        ports.append(await relay(port, round_trip) if tls else port)
    control = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0)
    ports.append(control.sockets[0].getsockname()[1])
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _context(given: list[str] | None) -> ssl.SSLContext | None:
    if not given:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*given)
    return context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--round-trip", type=float, default=20, metavar="MS")
    given: Any = parser.parse_args()
    uvloop.run(_serve(_context(given.tls), given.round_trip / 1000))


if __name__ == "__main__":
    main()
