"""Relays one request to the legacy server, and the answer to the client."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, suppress
from http.client import responses
from typing import Any, Final, cast

from aiohttp import HttpVersion11, web

from proxy.errors import Refusal
from proxy.headers import HeaderFields
from proxy.inbound.body import RequestBody
from proxy.raw_headers import Pairs, end_to_end, replaced, without
from proxy.server.connection import Gone
from proxy.server.receiving import arriving
from proxy.upstream.legacy.michiq import Michiq, RawAnswer
from proxy.web.exchange import DRAFT
from proxy.web.legacy.plan import CAPTURE_LIMIT, Captured, Passed, Plan
from proxy.web.legacy.raw_request import VIA, expects, raw_request
from proxy.web.legacy.raw_response import RawResponse, abort, finish_sending

REWRITE_LIMIT: Final = 64 * 1024
TAKING_SECONDS: Final = 60.0
_CODINGS: Final = b"content-encoding"


class Transfer:
    """The relay of one request, made in the request's own task and run once.

    `given` is true once the client has the complete answer. Until then the task is cancelled when the client
    leaves, or reads nothing for too long; `interrupted_by` is the cause then. `gone` detects both.
    """

    def __init__(self, request: web.Request, michiq: Michiq, plan: Plan, gone: Gone) -> None:
        self._gone = gone
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.interrupted_by = ""
        self._request = request
        self._michiq = michiq
        self._plan = plan
        self.given = False
        self._continue_sent = False
        self._response: RawResponse | None = None
        self._passed = Passed(0, "", None)

    async def run(self) -> tuple[RawResponse, Passed]:
        """Relays, and returns the answer once the client has all of it.

        Raises Refusal while the client has no byte of an answer.
        """
        plan = self._plan
        try:
            request = raw_request(self._request, self._pieces, plan)
            async with self._michiq.exchange(
                request, seconds=plan.seconds, informed=self._inform, path=plan.path
            ) as answer:
                return await self._relay(answer)
        except Refusal as refusal:
            await self._ask_for_the_rest()
            return self.broken_off(refusal)

    def interrupt(self, cause: str) -> None:
        """Cancels the relay, unless the client has its answer."""
        if not self.interrupted_by and not self.given:
            self.interrupted_by = cause
            self._task.cancel()

    def was_interrupted(self) -> bool:
        """Returns whether `interrupt` caused a cancellation, and undoes it."""
        return bool(self.interrupted_by) and not self._task.uncancel()

    def broken_off(self, refusal: Refusal) -> tuple[RawResponse, Passed]:
        """Raises the refusal if it can still become an answer; else ends the client's connection."""
        if self._response is None:
            raise refusal
        self._request[DRAFT].cause = refusal.cause
        abort(self._request)
        return self._response, self._passed

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        # The legacy server limits the size. Here the body only counts its bytes.
        body = RequestBody(self._request.headers, arriving(self._request), limit=0)
        self._request[DRAFT].body = body
        if expects(self._request):
            await self._inform(100, ())
        async for piece in arriving(self._request, self._plan.pause):
            body.received += len(piece)
            if self._plan.keep:
                self._plan.keep(piece)
            yield piece

    async def _ask_for_the_rest(self) -> None:
        """Asks for a body that waits for 100 Continue, before we refuse by ourselves.

        The connection's next bytes are then certainly that body, and are dropped.
        """
        if self._response is None and expects(self._request):
            with suppress(Refusal):
                await self._inform(100, ())

    async def _inform(self, status: int, headers: Pairs) -> None:
        """Forwards a 1xx. An HTTP/1.0 client gets none, and one 100 is enough."""
        if self._request.version < HttpVersion11 or (status == 100 and self._continue_sent):
            return
        self._continue_sent |= status == 100
        fields = () if status == 100 else (*end_to_end(headers), VIA)
        line = b"HTTP/1.1 %d %b" % (status, responses.get(status, "").encode())
        await self._taken(
            self._request.writer.write(b"\r\n".join([line, *map(b": ".join, fields), b"", b""]))
        )
        self._request.writer.output_size = 0  # the answer itself has not begun

    async def _relay(self, answer: RawAnswer) -> tuple[RawResponse, Passed]:
        self._passed = Passed(answer.status, _content_type(answer), None)
        fields, captured = self._fields(answer), Captured(wanted=self._plan.capture)
        codings = [value.decode("latin-1") for value in HeaderFields.of(answer.headers).values(_CODINGS)]
        async with aclosing(answer.chunks()) as chunks:
            start, replacement = await self._start(chunks, codings)
            if replacement is not None:
                # Without a coding: every client accepts that (RFC 9110, section 12.5.3).
                fields = without(fields, frozenset({_CODINGS}))
                fields = replaced(fields, b"Content-Length", b"%d" % len(replacement))
            # Bytes that came with the head are sent with it, in one write.
            start += answer.arrived()
            response = await self._begin(answer, fields, start if replacement is None else replacement)
            captured.add(start)
            async for piece in chunks:
                await self._taken(response.write(piece))
                captured.add(piece)
        await self._taken(response.write_eof())
        self.given = True
        if not self._request.content.is_eof():
            finish_sending(self._request)
        return response, await self._copied(captured.body(), codings) if self._plan.capture else self._passed

    def _fields(self, answer: RawAnswer) -> Pairs:
        fields = end_to_end(answer.headers)
        extra = tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in self._plan.extra)
        if not HeaderFields.of(answer.headers).has(b"x-request-id"):
            extra = (*extra, (b"X-Request-ID", self._request[DRAFT].request_id.encode()))
        return (*fields, *extra, VIA)

    async def _copied(self, body: bytes | None, codings: Sequence[str]) -> Passed:
        """Returns the relayed answer with its body; a compressed one is decompressed in a thread."""
        if not codings:
            passed = self._passed
            is_whole = body is not None and len(body) <= CAPTURE_LIMIT
            return Passed(passed.status, passed.content_type, body, None if is_whole else "too-long")
        return await asyncio.to_thread(self._passed.with_body, body, codings)

    async def _start(
        self, chunks: AsyncIterator[bytes], codings: Sequence[str]
    ) -> tuple[bytes, bytes | None]:
        """Reads a body that may be rewritten; returns the part that was read, and the new body if any."""
        rewrite, start = self._plan.rewrite, bytearray()
        if rewrite is None or self._is_empty(self._passed.status):
            return b"", None
        async for piece in chunks:
            start += piece
            if len(start) > REWRITE_LIMIT:
                return bytes(start), None
        return bytes(start), await rewrite(await self._copied(bytes(start), codings))

    def _is_empty(self, status: int) -> bool:
        return self._request.method == "HEAD" or status in (204, 304)

    async def _begin(self, answer: RawAnswer, fields: Pairs, start: bytes) -> RawResponse:
        response = self._response = RawResponse(answer.status, answer.reason, fields, start)
        if not self._request.content.is_eof():
            # The answer does not wait for the rest of the request's body.
            response.force_close()
        await self._taken(response.prepare(self._request))
        return response

    async def _taken(self, writing: Awaitable[object]) -> None:
        """Waits until the client has taken the bytes. Raises Refusal when the client has left."""
        self._gone.takes_within(TAKING_SECONDS)
        has_left = False
        try:
            await writing
        except ConnectionError:
            has_left = True
        finally:
            self._gone.takes_within(math.inf)
        if has_left:
            raise Refusal("failed", "client-left")


def _content_type(answer: RawAnswer) -> str:
    return b"".join(HeaderFields.of(answer.headers).values(b"content-type")[:1]).decode("latin-1")
