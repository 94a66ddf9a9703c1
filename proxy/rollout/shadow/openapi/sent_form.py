"""Reads an outgoing multipart form back, piece by piece, as the value that an OpenAPI schema describes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from proxy.headers import media_type
from proxy.jsons import BadJson
from proxy.upstream.call import OutgoingBody
from proxy.values import Json

# Raises BadJson.
ReadJson: TypeAlias = Callable[[bytes], Awaitable[Json]]

_MAX_HEADER: Final = 64 * 1024  # escaping makes a name of quotes only three times as long


class BadBody(Exception):
    """A body that is not in its documented form: the position, and the broken rule. It holds no data."""

    def __init__(self, position: str, rule: str) -> None:
        super().__init__(f"{position}: {rule}")
        self.position = position
        self.rule = rule


@dataclass(frozen=True, slots=True)
class SentField:
    """A documented part; `types` are its possible content types, none stands for any."""

    kind: Literal["file", "json", "text"]
    repeats: bool = False
    types: tuple[str, ...] = ()


async def form_value(
    body: OutgoingBody, fields: Mapping[str, SentField], read_json: ReadJson
) -> dict[str, Json]:
    """Returns name → value, a list if the part may repeat; a file's content is not held.

    A part that is not in `fields` is in the value, for the schema to check. Raises BadBody.
    """
    value: dict[str, Any] = {}
    async for segment, content in _parts(body, fields):
        name, documented = segment.name or "", fields.get(segment.name)
        if documented is None:
            value[name] = None
            continue
        position = f"body.{name}"
        _check(segment, documented, position)
        leaf = await _leaf(content, documented, position, read_json)
        if documented.repeats:
            value.setdefault(name, []).append(leaf)
        elif name in value:
            raise BadBody(position, "repeated")
        else:
            value[name] = leaf
    return value


async def _parts(
    body: OutgoingBody, fields: Mapping[str, SentField]
) -> AsyncIterator[tuple[MultipartSegment, bytes]]:
    """Yields each part with its bytes; those of a file are dropped as they come."""
    _, options = media_type(body.content_type)
    held, left = bytearray(), body.content.size
    wanted = {name for name, each in fields.items() if each.kind != "file"}
    try:
        parser = PushMultipartParser(
            options.get("boundary", ""), max_header_size=_MAX_HEADER, header_charset="latin-1"
        )
        async for chunk in body.content.chunks():
            left -= len(chunk)
            for event in [] if parser.closed else parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    segment, held = event, bytearray()
                elif event is None:
                    yield segment, bytes(held)
                elif segment.name in wanted:
                    held += event
        parser.close()
    except MultipartError:
        raise BadBody("body", "unreadable") from None
    if left:
        raise BadBody("body", "length")


def _check(segment: MultipartSegment, documented: SentField, position: str) -> None:
    """Checks a part: a file has a name; a field may leave its content type out (RFC 7578, section 4.4)."""
    if documented.kind == "file" and not segment.filename:
        raise BadBody(position, "not-a-file")
    given = segment.header("Content-Type")
    if given is None and documented.kind != "file":
        return
    kind, _ = media_type(given or "text/plain")
    if documented.types and not any(_fits(kind, each) for each in documented.types):
        raise BadBody(position, "content-type")


def _fits(kind: str, documented: str) -> bool:
    return kind == documented or (documented.endswith("/*") and kind.startswith(documented[:-1]))


async def _leaf(content: bytes, documented: SentField, position: str, read_json: ReadJson) -> Json:
    try:
        if documented.kind == "json":
            return await read_json(content)
        return content.decode()
    except (BadJson, UnicodeDecodeError):
        raise BadBody(position, "unreadable") from None
