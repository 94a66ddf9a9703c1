"""One part of an inbound form: its names as they were meant, its bytes as they came (CONTRACT N10, N16)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from multipart import parse_content_disposition

from proxy.errors import Refusal
from proxy.inbound.multipart_parser import Event
from proxy.inbound.part_headers import PartHeaders, broken
from proxy.inbound.transfer_encoding import Decoder, decoder

# Each parameter of a disposition whole, so that nothing inside a quoted name is taken for another one.
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;]*)')
# filename*=UTF-8''%e2%82%ac (RFC 8187); not meant for forms, yet some clients send it.
_EXTENDED: Final = re.compile(r"\"?(?:utf-8|iso-8859-1)'[^']*'([^\"\s]+)\"?\s*", re.IGNORECASE)

Events = AsyncIterator[Event]


@dataclass(slots=True)
class Part:
    """A part while the form streams by (`values.FormPart`)."""

    name: str
    filename: str | None = field(repr=False)
    content_type: str | None
    _events: Events = field(repr=False)
    _decoder: Decoder = field(repr=False)
    _over: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while not self._over:
            event = await anext(self._events)
            self._over = not isinstance(event, bytes)
            if piece := self._decoder.feed(event) if isinstance(event, bytes) else self._decoder.end():
                yield piece

    async def drop_rest(self) -> None:
        async for _ in self.chunks():
            pass


def part_of(headers: PartHeaders, events: Events) -> Part:
    """The part whose bytes the next `events` are; Refusal where it can't be taken as it is."""
    disposition = (headers.one("content-disposition") or b"").decode("latin-1")
    kind, name, filename = parse_content_disposition(disposition)
    if kind != "form-data":
        raise broken()
    if not name:
        raise Refusal("malformed", "part-without-name")
    filename = _extended_name(disposition) or filename
    return Part(
        name=_text(name),
        filename=None if filename is None else _text(filename),
        content_type=(headers.last("content-type") or b"").decode("latin-1") or None,
        _events=events,
        _decoder=decoder((headers.one("content-transfer-encoding") or b"").decode("latin-1")),
    )


def _extended_name(disposition: str) -> str | None:
    for name, value in _PARAMETER.findall(disposition):
        if name.lower() == "filename*" and (match := _EXTENDED.fullmatch(value)):
            return unquote_to_bytes(match[1]).decode("latin-1")
    return None


def _text(name: str) -> str:
    """A name that was read as Latin-1, as the UTF-8 that it most likely is."""
    try:
        return name.encode("latin-1").decode()
    except UnicodeDecodeError:
        return name
