"""An outgoing multipart form, read back piece by piece as the value that an OpenAPI schema describes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from proxy.headers import media_type
from proxy.jsons import BadJson
from proxy.upstream.call import Body
from proxy.values import Json

# Raises BadJson.
ReadJson: TypeAlias = Callable[[bytes], Awaitable[Json]]

_MAX_HEADER: Final = 64 * 1024  # a name of quotes only is escaped to three times the length that came in


class BadBody(Exception):
    """A body that is not of its documented form: at which place of it, by which rule. No data is kept."""

    def __init__(self, place: str, rule: str) -> None:
        super().__init__(f"{place}: {rule}")
        self.place = place
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Field:
    """A documented part. `types` are the content types that it may say; none stands for any."""

    kind: Literal["file", "json", "text"]
    repeats: bool = False
    types: tuple[str, ...] = ()


async def form_value(body: Body, fields: Mapping[str, Field], read_json: ReadJson) -> dict[str, Json]:
    """Name → value, a list where the part may repeat; of a file nothing is kept but that it came.

    A part that is not in `fields` is in the value, for the schema to judge. Raises BadBody.
    """
    value: dict[str, Any] = {}
    async for segment, content in _parts(body, fields):
        name, documented = segment.name or "", fields.get(segment.name)
        if documented is None:
            value[name] = None
            continue
        place = f"body.{name}"
        _judge(segment, documented, place)
        leaf = await _leaf(content, documented, place, read_json)
        if documented.repeats:
            value.setdefault(name, []).append(leaf)
        elif name in value:
            raise BadBody(place, "repeated")
        else:
            value[name] = leaf
    return value


async def _parts(body: Body, fields: Mapping[str, Field]) -> AsyncIterator[tuple[MultipartSegment, bytes]]:
    """Each part with its bytes; those of a file are dropped as they come."""
    _, options = media_type(body.content_type)
    kept, left = bytearray(), body.content.size
    wanted = {name for name, each in fields.items() if each.kind != "file"}
    try:
        parser = PushMultipartParser(
            options.get("boundary", ""), max_header_size=_MAX_HEADER, header_charset="latin-1"
        )
        async for chunk in body.content.chunks():
            left -= len(chunk)
            for event in [] if parser.closed else parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    segment, kept = event, bytearray()
                elif event is None:
                    yield segment, bytes(kept)
                elif segment.name in wanted:
                    kept += event
        parser.close()
    except MultipartError:
        raise BadBody("body", "unreadable") from None
    if left:
        raise BadBody("body", "length")


def _judge(segment: MultipartSegment, documented: Field, place: str) -> None:
    """A file has a name; a field may leave its content type out (RFC 7578, section 4.4)."""
    if documented.kind == "file" and not segment.filename:
        raise BadBody(place, "not-a-file")
    given = segment.header("Content-Type")
    if given is None and documented.kind != "file":
        return
    kind, _ = media_type(given or "text/plain")
    if documented.types and not any(_fits(kind, each) for each in documented.types):
        raise BadBody(place, "content-type")


def _fits(kind: str, documented: str) -> bool:
    return kind == documented or (documented.endswith("/*") and kind.startswith(documented[:-1]))


async def _leaf(content: bytes, documented: Field, place: str, read_json: ReadJson) -> Json:
    try:
        if documented.kind == "json":
            return await read_json(content)
        return content.decode()
    except (BadJson, UnicodeDecodeError):
        raise BadBody(place, "unreadable") from None
