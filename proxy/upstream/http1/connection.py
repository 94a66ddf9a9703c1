"""A connection to one upstream: sends and receives, with backpressure both ways and timeouts."""

import asyncio
import math
import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from proxy.upstream.http1.answer_reader import AnswerReader

READ_SIZE: Final = 64 * 1024
_HIGH_WATER: Final = 2 * READ_SIZE
_INTERIMS: Final = 16
# A broken socket may still hold an answer: a head, perhaps with a short body.
_RESCUED_PIECES: Final = 4


class Connection(asyncio.BufferedProtocol):
    """A connection that is idle, or carries one exchange: from `begin` to `rest` or `abort`.

    All connections of a loop may share `buffer`, since each read is parsed at once. `on_end` is called when
    an idle connection ends, or receives bytes without a request. `since` is the time when the connection was
    opened or last used. `was_idle` is true when it was idle before its last exchange, `was_closed` when that
    exchange found it closed, `unfinished` while the request is not completely sent.
    """

    __slots__ = (
        "_buffer",
        "_full",
        "_held",
        "_loop",
        "_news",
        "_news_by",
        "_on_end",
        "_over",
        "_poll",
        "_room",
        "_room_by",
        "_timer",
        "_total_by",
        "_transport",
        "caller",
        "idle_seconds",
        "reader",
        "since",
        "unfinished",
        "was_closed",
        "was_idle",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, buffer: memoryview, on_end: Callable[["Connection"], None]
    ) -> None:
        self._loop = loop
        self._buffer = buffer
        self._on_end = on_end
        self._poll: select.poll | None = None
        self._full = self._held = self._over = False
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._news_by = self._room_by = self._total_by = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self.reader: AnswerReader | None = None
        self.caller: bytes | None = None
        self.since = loop.time()
        self.idle_seconds = 0.0
        self.was_idle = self.was_closed = False
        self.unfinished = False

    def begin(
        self, data: bytes, *, is_head: bool = False, unfinished: bool = False, total: float = math.inf
    ) -> AnswerReader:
        """Sends the first bytes of a request; returns the reader of its answer. `total` is in seconds."""
        self.unfinished = unfinished
        reader = self.reader = AnswerReader(is_head=is_head)
        self._total_by = self._loop.time() + total
        if self._over or self._transport.is_closing():
            reader.end(cleanly=False)
        else:
            self._transport.write(data)
        return reader

    async def send(self, data: bytes, seconds: float = math.inf, *, until_answered: bool = False) -> bool:
        """Sends more of the request, and waits for room; returns whether still more may be sent.

        The upstream has `seconds` to make room. With `until_answered`, sending stops once the answer's head
        is here. The answer's error is the reason why no more is sent.
        """
        reader = self.reader
        if reader is None or self._over or self._transport.is_closing():
            return False
        self._transport.write(data)
        while self._full and not self._over and not (until_answered and reader.status):
            self._room = self._loop.create_future()
            self._room_by = self._loop.time() + seconds
            self._watch()
            try:
                await self._room
            finally:
                self._room, self._room_by = None, math.inf
        return not self._over and not (until_answered and reader.status)

    async def news(self, seconds: float) -> None:
        """Waits until the answer has changed; after `seconds` its error is a TimeoutError."""
        self._resume()
        self._news = self._loop.create_future()
        self.allow(seconds)
        try:
            await self._news
        finally:
            self._news, self._news_by = None, math.inf

    def allow(self, seconds: float) -> None:
        """Gives the upstream `seconds` for its next bytes, if `news` waits for them."""
        if self._news is not None:
            self._news_by = self._loop.time() + seconds
            self._watch()

    async def piece(self, seconds: float) -> bytes:
        """Returns more of the answer's body, b"" at its end. Raises the answer's error."""
        reader = cast(AnswerReader, self.reader)
        while not reader.buffered:
            if reader.complete:
                return b""
            if reader.error is not None:
                raise reader.error
            await self.news(seconds)
        return reader.take()

    def fail(self, error: Exception) -> None:
        """Ends the exchange with an error, unless its answer is complete."""
        if self.reader is not None:
            self.reader.fail(error)
        self._wake()
        self._wake_sender()

    def rest(self) -> bool:
        """Ends the exchange; returns whether the connection may carry another one."""
        reader, self.reader = self.reader, None
        self._total_by = math.inf
        self._resume()
        self.was_closed = self.was_idle and reader is not None and not reader.has_begun
        if reader is None or self.unfinished or self._over or self._transport.is_closing():
            return False
        return reader.complete and reader.keep_alive and not self._transport.get_write_buffer_size()

    @property
    def stands(self) -> bool:
        """Returns whether the connection is open, as far as is known."""
        return not self._over and not self._transport.is_closing()

    def is_silent(self) -> bool:
        """Returns whether an idle connection is open and its socket has no unread bytes."""
        if not self.stands:
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def abort(self) -> None:
        """Closes the connection at once, and drops unsent bytes.

        `close` would first wait until the peer has read them, perhaps for ever.
        """
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.since = self._loop.time()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  a protocol's
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        reader = self.reader
        if reader is None:
            self._end_idle()
            return
        reader.feed(self._buffer[:nbytes])
        if (reader.buffered > _HIGH_WATER or len(reader.interims) > _INTERIMS) and not self._held:
            self._held = True
            self._transport.pause_reading()
        self._wake()
        if self._room is not None and reader.status:
            self._wake_sender()

    def eof_received(self) -> None:
        self._ended(cleanly=True)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self._over and self.reader is not None:
            self._rescue(self.reader)
        self._ended(cleanly=exc is None)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake_sender()

    def _ended(self, *, cleanly: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._over:
            return
        self._over = True
        if self.reader is None:
            self._on_end(self)
            return
        self.reader.end(cleanly=cleanly)
        self._wake()
        self._wake_sender()

    def _end_idle(self) -> None:
        """Closes an idle connection that received bytes: the next request could take them for its answer."""
        if not self._over:
            self.abort()
            self._on_end(self)

    def _resume(self) -> None:
        if self._held and not self._over:
            self._held = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _wake_sender(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _watch(self) -> None:
        """Starts a timer for the earliest deadline; an earlier timer stays, and then starts the next one."""
        until = min(self._news_by, self._room_by, self._total_by)
        if until == math.inf or self._over:
            return
        if self._timer is not None:
            if self._timer.when() <= until:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        self._timer = None
        if min(self._news_by, self._room_by, self._total_by) > self._loop.time():
            self._watch()
        elif self.reader is not None:
            self.fail(TimeoutError())
            self.abort()

    def _rescue(self, reader: AnswerReader) -> None:
        """Reads the bytes that the peer had sent before our own write failed."""
        if self._transport.get_extra_info("sslcontext") is not None:
            return  # the bytes in the socket are encrypted
        descriptor = self._transport.get_extra_info("socket").fileno()
        with suppress(OSError):
            for _ in range(_RESCUED_PIECES):
                if data := os.read(descriptor, READ_SIZE):
                    reader.feed(data)
