"""Sends JSON messages, one a line, over a socket between the supervisor and one worker."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Final, Self

# The longest message: the metrics of a worker have some 100 KiB.
_LIMIT: Final = 16 * 1024 * 1024


class Channel:
    """One end of the channel between the supervisor and a worker.

    A message that is sent when the other end has closed is lost; `messages` ends then.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LIMIT))

    def send(self, **message: Any) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yields messages until the other end closes."""
        try:
            while text := await self._reader.readline():
                yield json.loads(text)
        except ConnectionError:
            return

    def close(self) -> None:
        self._writer.close()
