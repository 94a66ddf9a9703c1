"""A multipart/form-data body as the value that an OpenAPI schema describes."""

from collections.abc import Mapping
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from proxy.jsons import load


class BadForm(Exception):
    """A body that is no form, or repeats what comes once."""


def form_value(body: bytes, boundary: str, fields: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Name → value: a list for an array, JSON for an object, and for bytes a stand-in, as they are no text.

    `fields` are the resolved schemas of the properties. Raises BadForm, BadJson and UnicodeDecodeError.
    """
    value: dict[str, Any] = {}
    for segment, content in _parts(body, boundary):
        schema = fields.get(segment.name, {})
        if schema.get("type") == "array":
            value.setdefault(segment.name, []).append(_leaf(segment, content, schema["items"]))
        elif segment.name in value:
            raise BadForm("repeated")
        else:
            value[segment.name] = _leaf(segment, content, schema)
    return value


def _parts(body: bytes, boundary: str) -> list[tuple[MultipartSegment, bytes]]:
    parts: list[tuple[MultipartSegment, bytearray]] = []
    try:
        with PushMultipartParser(boundary, header_charset="latin-1") as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    parts.append((event, bytearray()))
                elif event:
                    parts[-1][1].extend(event)
    except MultipartError:
        raise BadForm("broken") from None
    return [(segment, bytes(content)) for segment, content in parts]


def _leaf(segment: MultipartSegment, content: bytes, schema: dict[str, Any]) -> Any:
    if schema.get("type") == "object":
        return load(content)
    if "contentMediaType" in schema and not (segment.filename and segment.header("Content-Type")):
        raise BadForm("a file without a name or a type")
    return "" if segment.filename else content.decode()
