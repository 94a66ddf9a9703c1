"""The serving process's end of an isolated process: sends tasks, receives answers."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from pickle import UnpicklingError
from typing import Any, Final

from proxy.isolated import wire

_PIECE: Final = 256 * 1024


class Died(Exception):
    """The process ended while it had a task."""


class TaskChannel:
    """The channel to a process with at most one task; the process lives as long as `pipe` is open."""

    def __init__(self, connection: socket.socket, pipe: int) -> None:
        self._connection = connection
        self._connection.settimeout(0)
        self._pipe = pipe
        self.tasks = 0

    @property
    def is_idle(self) -> bool:
        """Returns whether the process is alive and silent, as one without a task should be."""
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        return False

    async def call(self, task: Callable[..., object], args: Sequence[object]) -> tuple[Any, ...]:
        """Returns the answer (wire.answer).

        Raises Died, ConnectionError for a process that ended before it had read the whole task, and
        wire.BAD_PICKLE
        for a task that can't be sent or an answer that can't be read.
        """
        self.tasks += 1
        await self._send(wire.request(task, args))
        return wire.answer(await self._received(), task)

    def close(self) -> None:
        """Makes the fork server kill the process."""
        self._connection.close()
        os.close(self._pipe)

    async def _send(self, request: wire.Request) -> None:
        try:
            sent = socket.send_fds(self._connection, [request.data], request.files)
        finally:
            request.close()
        rest = memoryview(request.data)[sent:]
        if rest:
            await asyncio.get_running_loop().sock_sendall(self._connection, rest)

    async def _received(self) -> bytearray:
        data = bytearray()
        await self._fill(data, wire.HEADER.size)
        (size,) = wire.HEADER.unpack_from(data)
        if size > wire.MAX_ANSWER:
            raise UnpicklingError("too large")
        await self._fill(data, wire.HEADER.size + size)
        del data[: wire.HEADER.size]
        return data

    async def _fill(self, data: bytearray, size: int) -> None:
        loop = asyncio.get_running_loop()
        while len(data) < size:
            piece = await loop.sock_recv(self._connection, _PIECE)
            if not piece:
                raise Died
            data += piece
