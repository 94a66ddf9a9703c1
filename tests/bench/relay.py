"""A long way: bytes take half a round trip in each direction, a new connection one round trip."""

import asyncio
from typing import Final

_PIECE: Final = 256 * 1024


async def relay(port: int, round_trip: float) -> int:
    """Starts a relay to `port` of this machine; returns the port that it listens at."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip)  # SYN and its answer
        further, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, back, round_trip / 2), _carry(further, writer, round_trip / 2))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=1024)
    listening: int = server.sockets[0].getsockname()[1]
    return listening


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    try:
        while data := await reader.read(_PIECE):
            loop.call_later(seconds, writer.write, data)
    except ConnectionError:
        pass  # it ends as one that was closed
    loop.call_later(seconds, writer.close)
