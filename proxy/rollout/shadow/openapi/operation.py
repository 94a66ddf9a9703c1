"""One operation of an OpenAPI description, and the check of a call against it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.headers import media_type
from proxy.jsons import BadJson
from proxy.rollout.shadow.openapi.schemas import Fault, Node, Schemas
from proxy.rollout.shadow.openapi.sent_form import BadBody, ReadJson, SentField, form_value
from proxy.upstream.call import Call, OutgoingBody
from proxy.values import Json

_FORM: Final = "multipart/form-data"


class Operation:
    """A method of a path; `item` is the path's own node."""

    def __init__(self, schemas: Schemas, item: Node, node: Node) -> None:
        self.name: str = node["operationId"]
        self._schemas = schemas
        self._parameters = [
            schemas.resolved(each) for each in (*item.get("parameters", ()), *node.get("parameters", ()))
        ]
        self._credentials = _credentials(schemas.document, node)
        body = schemas.resolved(node.get("requestBody", {}))
        self._body_required: bool = body.get("required", False)
        self._media = {
            kind: _Media(media["schema"], _fields(schemas, media) if kind == _FORM else None)
            for kind, media in body.get("content", {}).items()
        }

    async def faults(self, call: Call, read_json: ReadJson) -> list[Fault]:
        """Returns position and rule of each fault of the call; the same one possibly twice."""
        headers = {name.lower(): value for name, value in call.headers.items()}
        return [
            *self._without_credentials(headers),
            *self._of_parameters(headers, call.id),
            *await self._of_body(call.body, read_json),
        ]

    def _without_credentials(self, headers: Mapping[str, str]) -> Iterator[Fault]:
        missing = [[name for name in way if not headers.get(name.lower())] for way in self._credentials]
        if all(missing):
            yield from ((f"header.{name}", "missing") for name in next(iter(missing), ()))

    def _of_parameters(self, headers: Mapping[str, str], id_: str | None) -> Iterator[Fault]:
        for parameter in self._parameters:
            name, where = parameter["name"], parameter["in"]
            given = {"header": headers.get(name.lower()), "path": id_}.get(where)
            if given is not None:
                yield from self._schemas.faults(parameter["schema"], given, f"{where}.{name}")
            elif parameter.get("required"):
                yield f"{where}.{name}", "missing"

    async def _of_body(self, body: OutgoingBody | None, read_json: ReadJson) -> list[Fault]:
        if body is None:
            return [("body", "missing")] if self._body_required else []
        if not self._media:
            return [("body", "undocumented")]
        media = self._media.get(media_type(body.content_type)[0])
        if media is None:
            return [("body", "content-type")]
        try:
            value = await media.value(body, read_json)
        except BadBody as error:
            return [(error.position, error.rule)]
        return list(self._schemas.faults(media.schema, value, "body"))


@dataclass(frozen=True, slots=True)
class _Media:
    """A documented body; `fields` are the parts of a form, None means JSON."""

    schema: Node
    fields: Mapping[str, SentField] | None

    async def value(self, body: OutgoingBody, read_json: ReadJson) -> Json:
        """Returns the value of the body. Raises BadBody."""
        if self.fields is not None:
            return await form_value(body, self.fields, read_json)
        try:
            return await read_json(b"".join([chunk async for chunk in body.content.chunks()]))
        except BadJson:
            raise BadBody("body", "unreadable") from None


def _credentials(document: Node, node: Node) -> list[list[str]]:
    """Returns the headers of each way to authenticate; none if no credentials are needed."""
    ways: list[Node] = {"security": [], **document, **node}["security"]
    schemes = document.get("components", {}).get("securitySchemes", {})
    return [[schemes[name].get("name", "Authorization") for name in way] for way in ways]


def _fields(schemas: Schemas, media: Node) -> Mapping[str, SentField]:
    encoding = media.get("encoding", {})
    properties = schemas.resolved(media["schema"])["properties"].items()
    return {name: _field(schemas, each, encoding.get(name, {})) for name, each in properties}


def _field(schemas: Schemas, schema: Node, encoding: Node) -> SentField:
    schema = schemas.resolved(schema)
    repeats = schema.get("type") == "array"
    if repeats:
        schema = schemas.resolved(schema["items"])
    types = tuple(each.strip() for each in encoding.get("contentType", "").split(",") if each.strip())
    if "contentMediaType" in schema:
        return SentField("file", repeats, types)
    return SentField("json" if schema.get("type") == "object" else "text", repeats, types)
