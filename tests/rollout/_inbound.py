"""A request as a flow gets it, without a connection."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from proxy.values import Inbound

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form (`values.FormPart`)."""

    name: str
    content: bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.content), _PIECE):
            yield self.content[start : start + _PIECE]


@dataclass(frozen=True, slots=True)
class Sent:
    """A body (`values.Body`): the parts of a form, or bytes."""

    form: tuple[Part, ...] = ()
    raw: bytes = field(default=b"", repr=False)

    async def read(self) -> bytes:
        return self.raw

    async def parts(self, limit: int | None = None) -> AsyncIterator[Part]:
        for part in self.form:
            yield part


def inbound(headers: Mapping[str, str], *parts: Part, raw: bytes = b"", legacy_id: str = "") -> Inbound:
    """Returns a request with these parts, or these bytes."""
    return Inbound(
        legacy_id=legacy_id,
        headers=tuple((name.encode(), value.encode()) for name, value in headers.items()),
        query={},
        body=Sent(parts, raw),
        request_id="dry-1",
        started=0.0,
    )
