"""Forwards one request and its answer: header bytes unchanged, both directions at once, with timeouts."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from proxy.errors import Refusal, UpstreamError
from proxy.raw_headers import Pairs
from proxy.upstream.http1.connection import READ_SIZE, Connection
from proxy.upstream.http1.errors import BadAnswer, WrongLength
from proxy.upstream.legacy.raw import RawAnswer, RawRequest

Informed: TypeAlias = Callable[[int, Pairs], Awaitable[None]]

PIECE_SECONDS: Final = 60.0
EXPECT_SECONDS: Final = 1.0


class Wire:
    """An exchange on a connection; `head` is the request line and the fields, ready to be sent."""

    def __init__(
        self,
        connection: Connection,
        request: RawRequest,
        head: bytes,
        seconds: float,
        informed: Informed | None,
    ) -> None:
        self._connection = connection
        self._request = request
        self._head = head
        self._seconds = seconds
        self._informed = informed
        self._sending: asyncio.Task[None] | None = None
        # Set once the server has sent 100, or its answer.
        self._spoke = asyncio.Event() if request.expects else None

    async def ask(self) -> None:
        """Sends the request; returns when the answer's head is here, perhaps while the body is still sent.

        The server has `seconds` to take each piece and, once it has all of them, to answer. Its time does
        not run while a slow client sends.
        """
        request = self._request
        has_body = request.body is not None
        self._connection.begin(self._head, is_head=request.method == b"HEAD", unfinished=has_body)
        if has_body:
            self._sending = asyncio.create_task(self._send(), name="legacy-request-body")
        has_answered = False
        try:
            await self._answered()
            has_answered = True
        finally:
            if not has_answered:
                await self.close()

    async def close(self) -> None:
        """Stops the sending of the request's body."""
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def answer(self) -> RawAnswer:
        """Returns the answer, once `ask` has returned."""
        reader = self._connection.reader
        assert reader is not None
        return RawAnswer(reader.status, reader.reason, reader.headers, self._chunks, reader.take)

    async def _answered(self) -> None:
        """Waits for the head; forwards the interim answers before it."""
        reader = self._connection.reader
        assert reader is not None
        ends: float | None = None
        while True:
            while reader.interims:
                await self._inform(*reader.interims.pop(0))
            if reader.status:
                break
            if reader.error is not None:
                raise reader.error
            if self._sending is not None and not self._sending.done():
                await self._connection.news(math.inf)
                continue
            now = asyncio.get_running_loop().time()
            ends = ends or now + self._seconds
            await self._connection.news(ends - now)
        self._may_go_on()
        if reader.status == 101:
            raise BadAnswer  # the request asked for no other protocol

    async def _inform(self, status: int, headers: Pairs) -> None:
        if self._informed is not None:
            await self._informed(status, headers)
        if status == 100:
            self._may_go_on()

    def _may_go_on(self) -> None:
        if self._spoke is not None:
            self._spoke.set()

    async def _send(self) -> None:
        """Sends the body; an error of the body ends the exchange."""
        try:
            if self._spoke is None or await self._body_is_wanted(self._spoke):
                await self._send_pieces()
        except Refusal as refusal:
            self._connection.fail(refusal)
        except WrongLength:
            self._connection.fail(Refusal("malformed", "body-length"))
        finally:
            self._connection.allow(self._seconds)

    async def _send_pieces(self) -> None:
        connection, request = self._connection, self._request
        chunked, left = request.length is None, request.length or 0
        assert request.body is not None
        async for piece in request.body:
            left -= len(piece)
            if not chunked and left < 0:
                raise WrongLength
            if piece and not await self._put(piece, chunked=chunked):
                return
        if not chunked and left:
            raise WrongLength
        if not chunked or await connection.send(b"0\r\n\r\n", self._seconds):
            connection.unfinished = False

    async def _put(self, piece: bytes, *, chunked: bool) -> bool:
        """Sends a piece; a large one is framed without a copy."""
        connection = self._connection
        if not chunked:
            return await connection.send(piece, self._seconds)
        size = b"%x\r\n" % len(piece)
        if len(piece) < READ_SIZE:
            return await connection.send(b"%b%b\r\n" % (size, piece), self._seconds)
        for part in (size, piece):
            if not await connection.send(part, self._seconds):
                return False
        return await connection.send(b"\r\n", self._seconds)

    async def _body_is_wanted(self, spoke: asyncio.Event) -> bool:
        """Returns whether to send the body: no answer has begun when the wait for 100 Continue ends.

        A server without support for Expect sends no 100: after EXPECT_SECONDS the body is sent anyway.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPECT_SECONDS):
                await spoke.wait()
        reader = self._connection.reader
        return reader is not None and not reader.status

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        failure: UpstreamError | None = None
        try:
            while piece := await self._connection.piece(PIECE_SECONDS):
                yield piece
        except TimeoutError:
            failure = too_slow()
        except BadAnswer:
            failure = garbage()
        except ConnectionError:
            failure = cut()
        # Raised outside the handler, so that the other error does not become its context.
        if failure is not None:
            raise failure


def too_slow() -> UpstreamError:
    """Returns the error of a server that took, or said, nothing for too long."""
    return UpstreamError("legacy_timeout", "legacy-timeout", arrived=True, broken=True)


def garbage() -> UpstreamError:
    """Returns the error of a server whose answer is no HTTP/1.1."""
    return UpstreamError("legacy_unreachable", "legacy-garbage", arrived=True)


def cut() -> UpstreamError:
    """Returns the error of a server whose connection ended before its answer did."""
    return UpstreamError("legacy_unreachable", "legacy-cut", arrived=True, broken=True, hung_up=True)
