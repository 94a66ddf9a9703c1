"""One request and its answer on a line: header bytes untouched, both directions at once, everything timed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeAlias

import h11

from proxy.errors import Refusal, UpstreamError
from proxy.upstream.line import Line
from proxy.upstream.raw import Pairs, RawAnswer, RawRequest

Informed: TypeAlias = Callable[[int, Pairs], Awaitable[None]]

MAX_HEAD: Final = 64 * 1024
PIECE_SECONDS: Final = 60.0
EXPECT_SECONDS: Final = 1.0


class _HungUp(Exception):
    """The line took no more of the request. The answer may have come before, so this is no failure yet."""


class Wire:
    """Reads with h11. The request's head it writes itself, since h11 would put Host first."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._tasks: list[asyncio.Task[Any]] = []
        self._spoke = asyncio.Event()  # the server said 100, or answered
        self._answered = False
        self._over = False

    async def ask(self, request: RawRequest, seconds: float, informed: Informed | None) -> RawAnswer:
        """Sends the request; returns with the answer's head, which may come while the body is still sent.

        The server has `seconds` to take each piece and, once it has them all, to answer: while a slow
        client sends, none of the server's time runs.
        """
        sending = self._start(self._send(request, seconds))
        head = self._start(self._head(informed))
        await asyncio.wait({sending, head}, return_when=asyncio.FIRST_COMPLETED)
        if not head.done():
            sending.result()
            await asyncio.wait({head}, timeout=seconds)
        if not head.done():
            raise _too_slow()
        answer = head.result()
        return RawAnswer(answer.status_code, bytes(answer.reason), _pairs(answer), self._chunks)

    async def close(self) -> None:
        """Ends whatever is still under way, and the line."""
        self.line.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name="legacy-wire")
        self._tasks.append(task)
        return task

    async def _send(self, request: RawRequest, seconds: float) -> None:
        """All of a request; what its body raises goes up."""
        # h11 is told the method and the framing, and nothing else: it only has to count and to read.
        told = [(b"Host", b"-"), *request.framing]
        self._http.send(h11.Request(method=request.method, target=b"/", headers=told))
        with suppress(_HungUp):
            await self._put(request.head(), seconds)
            if request.expects and not await self._body_is_wanted():
                return
            if request.body is not None:
                async for piece in request.body:
                    await self._put(self._framed(h11.Data(data=piece)), seconds)
            await self._put(self._framed(h11.EndOfMessage()), seconds)

    async def _body_is_wanted(self) -> bool:
        """A server that knows nothing of expectations says nothing; then the body goes all the same."""
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPECT_SECONDS):
                await self._spoke.wait()
        return not self._answered

    def _framed(self, event: h11.Data | h11.EndOfMessage) -> bytes:
        try:
            return self._http.send(event) or b""
        except h11.LocalProtocolError:
            raise Refusal("malformed", "body-length") from None

    async def _put(self, data: bytes, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.line.write(data)
        except TimeoutError:
            raise _too_slow() from None
        except ConnectionError:
            raise _HungUp from None

    async def _head(self, informed: Informed | None) -> h11.Response:
        while not isinstance(event := await self._event(), h11.Response):
            if isinstance(event, h11.InformationalResponse) and informed:
                await informed(event.status_code, _pairs(event))
            if isinstance(event, h11.InformationalResponse) and event.status_code == 100:
                self._spoke.set()
        self._answered = True
        self._spoke.set()
        return event

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        while True:
            try:
                async with asyncio.timeout(PIECE_SECONDS):
                    event = await self._event()
            except TimeoutError:
                raise _too_slow() from None
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    async def _event(self) -> object:
        """The next of what the server says; UpstreamError where it is no HTTP, or ends in the middle."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await self.line.read()
                self._over |= not data
                self._http.receive_data(data)
        except h11.RemoteProtocolError:
            cause = "legacy-cut" if self._over else "legacy-garbage"
        except ConnectionError:
            self._over, cause = True, "legacy-cut"
        else:
            return event
        # Raised out here, where it does not carry the server's bytes along as its context.
        raise UpstreamError("legacy_unreachable", cause, arrived=True)


def _too_slow() -> UpstreamError:
    return UpstreamError("legacy_timeout", "legacy-timeout", arrived=True)


def _pairs(event: h11.Response | h11.InformationalResponse) -> Pairs:
    return tuple((bytes(name), bytes(value)) for name, value in event.headers.raw_items())
