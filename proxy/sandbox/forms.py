"""Reads multipart forms as a stream: digests of every part, but only the bytes that are asked for."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import multipart
from aiohttp import web

from proxy.sandbox.answers import BadBody
from proxy.sandbox.bodies import pieces
from proxy.values import Json

FIELD_LIMIT: Final = 16 * 1024 * 1024  # a field without a filename is held whole


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form; `body` is a whole field, or as many first bytes of a file as were asked for."""

    name: str
    filename: str | None = field(repr=False)
    content_type: str | None
    size: int
    sha256: str
    body: bytes = field(repr=False)

    def summary(self) -> dict[str, Json]:
        """Returns this part for the record of a call."""
        return {
            "name": self.name,
            "filename": self.filename,
            "contentType": self.content_type,
            "size": self.size,
            "sha256": self.sha256,
        }


async def read_form(
    request: web.Request,
    *,
    limit: int,
    max_parts: float = float("inf"),
    keep: int = 0,
    copy: Callable[[bytes], object] | None = None,
) -> list[Part]:
    """Returns the parts of a multipart/form-data body of at most `limit` bytes, in order.

    Each part holds the first `keep` bytes of its file; `copy` gets the bytes of all files as they come.
    Raises BadBody: 400 for a broken form, 413 beyond `limit`, and the errors of `bodies.pieces`.
    """
    reader = _Reader(keep, copy)
    try:
        parser = multipart.PushMultipartParser(
            _boundary(request), max_segment_count=max_parts, header_charset="latin1"
        )
        async for piece in pieces(request, limit):
            if not parser.closed:
                reader.feed(parser.parse(piece))
        parser.close()
    except multipart.MultipartError:
        raise BadBody(400, "The multipart form is broken") from None
    return reader.parts


def _boundary(request: web.Request) -> str:
    media_type, options = multipart.parse_options_header(request.headers.get("Content-Type", ""))
    if media_type != "multipart/form-data" or not options.get("boundary"):
        raise BadBody(400, "The request is not multipart/form-data with a boundary")
    return str(options["boundary"])


class _Reader:
    """Turns the parser's events into parts."""

    def __init__(self, keep: int, copy: Callable[[bytes], object] | None) -> None:
        self.parts: list[Part] = []
        self._keep = keep
        self._copy = copy

    def feed(self, events: Iterable[multipart.MultipartSegment | bytes | None]) -> None:
        for event in events:
            if isinstance(event, multipart.MultipartSegment):
                self._begin(event)
            elif event is None:
                self._end()
            else:
                self._add(bytes(event))

    def _begin(self, segment: multipart.MultipartSegment) -> None:
        if not segment.name:
            raise BadBody(400, "A part of the form has no name")
        self._segment = segment
        self._filename = _filename(segment)
        self._digest = hashlib.sha256()
        self._held = bytearray()
        self._wanted = FIELD_LIMIT if self._filename is None else self._keep

    def _add(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._held += piece[: self._wanted - len(self._held)]
        if self._filename is not None and self._copy is not None:
            self._copy(piece)

    def _end(self) -> None:
        segment = self._segment
        if self._filename is None and segment.size > FIELD_LIMIT:
            raise BadBody(413, "A field of the form is too large")
        self.parts.append(
            Part(
                name=_decoded(segment.name),
                filename=self._filename,
                content_type=segment.header("Content-Type"),
                size=segment.size,
                sha256=self._digest.hexdigest(),
                body=bytes(self._held),
            )
        )


def _filename(segment: multipart.MultipartSegment) -> str | None:
    """Returns the file's whole name: the library itself would drop the folders of a Windows path."""
    _, options = multipart.parse_options_header(
        segment.header("Content-Disposition"),
        unquote=lambda value, _: multipart.content_disposition_unquote(value),
    )
    return _decoded(options["filename"]) if "filename" in options else None


def _decoded(name: str) -> str:
    """Returns a name of a part header, which was read as Latin-1, as UTF-8 when it is that, else as read."""
    try:
        return name.encode("latin1").decode("utf-8")
    except UnicodeError:
        return name
