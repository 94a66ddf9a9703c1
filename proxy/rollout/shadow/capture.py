"""Captures a request, so that its candidate can run it again once the client has its answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from proxy.inbound.body import Headers, RequestBody
from proxy.spool import Spool, Stored
from proxy.upstream.trace_context import TraceContext
from proxy.values import Caller, Inbound

# The proxy itself reads this much over the route's limit before it refuses (CONTRACT N15).
_OVER: Final = 256 * 1024


class BodyCapture:
    """A copy of a relayed body, up to the size that the new side would read."""

    def __init__(self, spool: Spool, limit: int) -> None:
        self._spool = spool
        self._room = limit + _OVER
        self.whole = True

    def take(self, chunk: bytes) -> None:
        """Adds a chunk. A full disk ends the capture, not the request; then `whole` is false."""
        if self._room > 0 and self.whole:
            try:
                self._spool.write(chunk[: self._room])
            except OSError:
                self.whole = False
            self._room -= len(chunk)

    def finish(self) -> Stored:
        return self._spool.finish()

    def close(self) -> None:
        self._spool.close()


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A request, without its connection."""

    legacy_id: str = field(repr=False)
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    headers: Headers = field(repr=False)
    query: dict[str, str] = field(repr=False)
    body: Stored = field(repr=False)
    whole: bool
    method: str
    request_id: str
    trace: TraceContext | None = None

    def inbound(self, caller: Caller, limit: int, started: float, legacy_id: str | None = None) -> Inbound:
        """Returns the request as a flow reads it, with another id if one is given."""
        return Inbound(
            legacy_id=self.legacy_id if legacy_id is None else legacy_id,
            headers=self.raw_headers,
            query=self.query,
            body=RequestBody(self.headers, self._chunks(), limit),
            request_id=self.request_id,
            started=started,
            caller=caller,
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self.body.chunks():
            yield chunk
