"""Checks values against the JSON Schemas of an OpenAPI 3.1 document; faults never hold a value."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    pass

Node: TypeAlias = dict[str, Any]
# A position in the description, and its rule that is broken.
Fault: TypeAlias = tuple[str, str]

_URI: Final = "urn:description"


class Schemas:
    """One document; all its references are absolute, so that its parts can be used alone."""

    def __init__(self, document: Node) -> None:
        # Only a proxy that shadows a legacy server reads descriptions.
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012

        self.document: Node = _absolute(document)
        resource = DRAFT202012.create_resource(self.document)
        self._registry: Registry[Any] = Registry().with_resource(_URI, resource)

    def resolved(self, node: Node) -> Node:
        """Returns the node itself, or the node that it refers to."""
        while "$ref" in node:
            node = self._registry.resolver().lookup(node["$ref"]).contents
        return node

    def faults(self, schema: Node, value: object, position: str) -> Iterator[Fault]:
        """Yields each fault of a value against the schema; `position` is the value's own."""
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

        validator = Draft202012Validator(schema, registry=self._registry)
        for error in validator.iter_errors(value):
            where = position + "".join(_names(error.absolute_schema_path))
            if error.validator == "required":
                missing = (name for name in error.validator_value if name not in error.instance)
                yield from ((f"{where}.{name}", "missing") for name in missing)
            elif error.validator == "additionalProperties":
                yield where, "undocumented"
            else:
                yield where, error.validator


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"{_URI}{value}" if key == "$ref" and isinstance(value, str) else _absolute(value)
            for key, value in node.items()
        }
    return [_absolute(each) for each in node] if isinstance(node, list) else node


def _names(schema_path: Iterable[str | int]) -> Iterator[str]:
    """Yields the documented names on the way: a value's own path may hold keys that a client invented."""
    steps = iter(schema_path)
    for step in steps:
        if step == "properties":
            yield f".{next(steps)}"
        elif step == "additionalProperties":
            yield ".*"
