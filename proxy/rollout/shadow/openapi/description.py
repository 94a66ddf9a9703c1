"""Checks a call against the new systems' OpenAPI descriptions, without making it."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy import shipped
from proxy.rollout.shadow.openapi.operation import Operation
from proxy.rollout.shadow.openapi.schemas import Node, Schemas
from proxy.rollout.shadow.openapi.sent_form import ReadJson
from proxy.upstream.call import Call

_METHODS: Final = ("get", "post", "put", "patch", "delete")


class Description:
    """The documented operations of one system."""

    def __init__(self, name: str, document: Node) -> None:
        schemas = Schemas(document)
        self.name = name
        self._operations = {
            (method.upper(), _template(path)): Operation(schemas, item, item[method])
            for path, item in schemas.document["paths"].items()
            for method in _METHODS
            if method in item
        }

    async def faults(self, call: Call, read_json: ReadJson) -> list[str]:
        """Returns `operation:position:rule` for each rule of the description that the call breaks.

        None of them holds a value of the call, nor a name in it that the description doesn't have.
        """
        operation = self._operations.get((call.method, _template(call.path)))
        if operation is None:
            return [f"{self.name}:{call.method} {call.path}:undocumented"]
        found = await operation.faults(call, read_json)
        return [f"{operation.name}:{position}:{rule}" for position, rule in dict.fromkeys(found)]


@dataclass(frozen=True, slots=True)
class Descriptions:
    """The descriptions of the systems that the new side calls."""

    llamalitica: Description
    llamachat: Description


class LateDescriptions:
    """Reads the built-in descriptions at the first dry run.

    Most processes never make one, and the descriptions take 15 MB.
    """

    def __init__(self) -> None:
        self._reading = asyncio.Lock()
        self._read: Descriptions | None = None

    async def get(self) -> Descriptions:
        """Returns the descriptions."""
        async with self._reading:
            if self._read is None:
                self._read = await asyncio.to_thread(load_descriptions)
            return self._read


def load_descriptions(folder: Path | None = None) -> Descriptions:
    """Reads the descriptions in `folder`, else the built-in ones; slow, so call it in a thread."""
    source = folder or shipped.descriptions()
    return Descriptions(_load(source, "llamalitica"), _load(source, "llamachat"))


def _load(folder: Path, name: str) -> Description:
    from ruamel.yaml import YAML

    return Description(name, YAML(typ="safe", pure=True).load(folder / f"{name}.yaml"))


def _template(path: str) -> str:
    """Returns a path without the names of its parameters."""
    return re.sub(r"\{\w+\}", "{}", path)
