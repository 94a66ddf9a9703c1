"""One request on its way through to the legacy server, and the answer on its way back."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, suppress
from http.client import responses
from typing import Any, Final, cast

from aiohttp import HttpVersion11, web

from proxy.errors import Refusal
from proxy.headers import HeaderFields
from proxy.upstream.michiq import Michiq, RawAnswer
from proxy.upstream.raw import Pairs, end_to_end, replaced, without
from proxy.web.body import RequestBody, arriving
from proxy.web.connection import Gone
from proxy.web.exchange import DRAFT
from proxy.web.plan import CAPTURE_LIMIT, Captured, Passed, Plan
from proxy.web.raw_request import VIA, expects, raw_request
from proxy.web.raw_response import RawResponse, abort, finish_sending

REWRITE_LIMIT: Final = 64 * 1024
TAKING_SECONDS: Final = 60.0
_CODINGS: Final = b"content-encoding"


class Passage:
    """Made for one request, in its own task, and run once.

    `given` says that the client has the whole answer. Until then the task is cancelled when the client
    leaves, or takes nothing for too long: by `interrupted_by`. `gone` knows of both.
    """

    def __init__(self, request: web.Request, michiq: Michiq, plan: Plan, gone: Gone) -> None:
        self._gone = gone
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.interrupted_by = ""
        self._request = request
        self._michiq = michiq
        self._plan = plan
        self.given = False
        self._told_to_continue = False
        self._response: RawResponse | None = None
        self._passed = Passed(0, "", None)

    async def run(self) -> tuple[RawResponse, Passed]:
        """The answer, once the client has it all; Refusal as long as it has no byte of one."""
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
        """Ends it where it stands, unless the client has its answer."""
        if not self.interrupted_by and not self.given:
            self.interrupted_by = cause
            self._task.cancel()

    def was_interrupted(self) -> bool:
        """Returns whether a cancellation was its own, and takes it back."""
        return bool(self.interrupted_by) and not self._task.uncancel()

    def broken_off(self, refusal: Refusal) -> tuple[RawResponse, Passed]:
        """Raises the refusal where it can still become an answer; else the client's connection ends."""
        if self._response is None:
            raise refusal
        self._request[DRAFT].cause = refusal.cause
        abort(self._request)
        return self._response, self._passed

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        # Nothing limits it here: that is the legacy server's to do. It only counts.
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
        """A body that was held back is sent for before we refuse by ourselves, as everywhere else in here:
        the connection's next bytes can then be nothing but that body, and be dropped."""
        if self._response is None and expects(self._request):
            with suppress(Refusal):
                await self._inform(100, ())

    async def _inform(self, status: int, headers: Pairs) -> None:
        """Hands a 1xx on. An HTTP/1.0 client knows none, and one 100 is enough."""
        if self._request.version < HttpVersion11 or (status == 100 and self._told_to_continue):
            return
        self._told_to_continue |= status == 100
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
                # Without a coding: no client may be without that one (RFC 9110, section 12.5.3).
                fields = without(fields, frozenset({_CODINGS}))
                fields = replaced(fields, b"Content-Length", b"%d" % len(replacement))
            # What has come with the head goes with it.
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
        """What was passed, with its body; a packed one is unpacked where that holds up nobody."""
        if not codings:
            passed = self._passed
            is_whole = body is not None and len(body) <= CAPTURE_LIMIT
            return Passed(passed.status, passed.content_type, body, None if is_whole else "too-long")
        return await asyncio.to_thread(self._passed.with_body, body, codings)

    async def _start(
        self, chunks: AsyncIterator[bytes], codings: Sequence[str]
    ) -> tuple[bytes, bytes | None]:
        """Of a body that may be rewritten, what was read of it and, where that is all of it, the new one."""
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
            # The rest of the request's body is not worth waiting for.
            response.force_close()
        await self._taken(response.prepare(self._request))
        return response

    async def _taken(self, writing: Awaitable[object]) -> None:
        """Returns when the client has taken it; Refusal for one that has gone."""
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
