"""A TCP relay that keeps the bytes that clients sent, as they were on the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

_SECONDS: Final = 120.0
_PIECE: Final = 64 * 1024


@dataclass(slots=True)
class Relay:
    """Listens at `url`; `connections` are what came in, one entry a connection, in order of arrival."""

    upstream: tuple[str, int]
    url: str = ""
    connections: list[bytearray] = field(default_factory=list, repr=False)

    def take(self) -> list[bytes]:
        """Returns what came in since the last call."""
        taken = [bytes(each) for each in self.connections]
        self.connections.clear()
        return taken

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = bytearray()
        self.connections.append(seen)
        try:
            async with asyncio.timeout(_SECONDS):
                up_reader, up_writer = await asyncio.open_connection(*self.upstream)
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(_pump(reader, up_writer, seen), name="relay-up")
                    pumps.create_task(_pump(up_reader, writer, bytearray()), name="relay-down")
        except (TimeoutError, OSError):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
    """Hands on every byte, then the end; a reset on one side closes the other."""
    try:
        while piece := await reader.read(_PIECE):
            seen += piece
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def relaying(host: str, port: int) -> AsyncIterator[Relay]:
    """A relay to `host`:`port` on a free port of loopback, until the block ends."""
    relay = Relay((host, port))
    server = await asyncio.start_server(relay._serve, "127.0.0.1", 0)
    async with server:
        relay.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield relay
