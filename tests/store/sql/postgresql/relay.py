"""A server in front of PostgreSQL that cuts a connection, or falls silent, on purpose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias

# before: the server never gets the message. after: it does, but its answer gets lost.
When: TypeAlias = Literal["before", "after"]


class Relay:
    """A relay; `cut` is for the next message that holds these bytes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._cuts: list[tuple[bytes, When]] = []
        self._silent = False
        self._open: set[asyncio.StreamWriter] = set()
        self.cut_off = 0
        self.has_cut = asyncio.Event()
        self.port = 0

    def cut(self, message: bytes, when: When) -> None:
        self._cuts.append((message, when))

    def fall_silent(self) -> None:
        """Forwards nothing any more, and leaves all connections open."""
        self._silent = True

    def speak_again(self) -> None:
        """Forwards again; what was said meanwhile is lost."""
        self._silent = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in [*self._open]:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._open |= {writer, back}
        answering = asyncio.create_task(self._answer(there, writer))
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if self._silent:
                    continue
                when = self._due(data)
                if when != "before":
                    back.write(data)
                if when is not None:
                    answering.cancel()
                    await asyncio.wait({answering})
                    if when == "after":
                        await there.read(1 << 16)  # the server has done it
                    self.cut_off += 1
                    self.has_cut.set()
                    break
        for each in (writer, back):
            each.transport.abort()
        self._open -= {writer, back}

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                if not self._silent:
                    writer.write(data)
        writer.close()

    def _due(self, data: bytes) -> When | None:
        for number, (message, when) in enumerate(self._cuts):
            if message in data:
                del self._cuts[number]
                return when
        return None
