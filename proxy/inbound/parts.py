"""Reads one part of an inbound form: decoded names, and decoded bytes (CONTRACT N10, N16)."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Self

from proxy import charsets
from proxy.errors import Refusal
from proxy.inbound.disposition import read_disposition
from proxy.inbound.multipart_parser import Event
from proxy.inbound.part_headers import PartHeaders
from proxy.inbound.transfer_encoding import Decoder, decoder

Events = AsyncIterator[Event]


@dataclass(slots=True)
class StreamedPart:
    """A part of a form that is still being read (`values.FormPart`)."""

    name: str
    filename: str | None = field(repr=False)
    content_type: str | None
    _events: Events = field(repr=False)
    _decoder: Decoder = field(repr=False)
    _over: bool = False

    def chunks(self) -> AsyncIterator[bytes]:
        # Not a generator: the event loop registers each one, which takes longer than a small part.
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._over:
            event = await anext(self._events)
            self._over = not isinstance(event, bytes)
            if piece := self._decoder.feed(event) if isinstance(event, bytes) else self._decoder.end():
                return piece
        raise StopAsyncIteration

    async def drop_rest(self) -> None:
        async for _ in self:
            pass


class WholeForm:
    """The events of a form that has arrived completely."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._left = iter(events)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        for event in self._left:
            return event
        raise StopAsyncIteration


def part_of(headers: PartHeaders, events: Events) -> StreamedPart:
    """Returns the part whose bytes are the next `events`. Raises Refusal when it can't be accepted."""
    disposition = read_disposition(headers.one("content-disposition") or b"")
    if not disposition.name:
        raise Refusal("malformed", "part-without-name")
    return StreamedPart(
        name=disposition.name,
        filename=disposition.filename,
        content_type=charsets.decode(headers.last("content-type") or b"") or None,
        _events=events,
        _decoder=decoder((headers.one("content-transfer-encoding") or b"").decode("latin-1")),
    )
