"""Legacy bodies, described as JMESPath expressions over the facts that a flow offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError

from proxy.mapping.getters import getter_of
from proxy.values import Json

# A table of legacy fields. A leaf is an expression, or `{ when_known = expression }` for a field that
# is left out while its fact is null.
Tree: TypeAlias = "Mapping[str, str | Tree]"

WHEN_KNOWN: Final = "when_known"


class BadExpression(ValueError):
    """An expression that can't be used; `key` is its dotted key in the mapping."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class Expression:
    """A compiled JMESPath expression. Raises BadExpression for a text that isn't one."""

    def __init__(self, text: str, key: str) -> None:
        try:
            self._compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise BadExpression(
                key, f"not a JMESPath expression: {text!r}; a fixed text is written \"'so'\""
            ) from error
        self._get = getter_of(self._compiled.parsed) or self._compiled.search
        self.text = text
        self.key = key

    def __reduce__(self) -> "tuple[type[Expression], tuple[str, str]]":
        """Returns the text for a worker process, which compiles it anew."""
        return Expression, (self.text, self.key)

    def over(self, facts: Json) -> Json:
        """Returns the expression's value; null also when a function met a value that it can't take."""
        try:
            value: Json = self._get(facts)
        except JMESPathError:
            return None
        return value

    @property
    def syntax(self) -> Mapping[str, Any]:
        """Returns the syntax tree: nodes with `type`, `children` and, by type, `value`."""
        tree: Mapping[str, Any] = self._compiled.parsed
        return tree


@dataclass(frozen=True, slots=True)
class Field:
    """A legacy field: its name, its expression or table, and whether a null value leaves it out."""

    name: str
    value: "Expression | Shape"
    when_known: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled table of legacy fields, in the order of the mapping file."""

    fields: tuple[Field, ...]

    def over(self, facts: Json) -> dict[str, Json]:
        """Returns the legacy object for these facts."""
        values = ((field, field.value.over(facts)) for field in self.fields)
        return {field.name: value for field, value in values if not (field.when_known and value is None)}


def compile_shape(tree: "str | Tree", key: str) -> Shape | Expression:
    """Returns the expression or table that a mapping has at `key`, ready for use.

    Raises BadExpression, which names the first field that can't be used.
    """
    if isinstance(tree, str):
        return Expression(tree, key)
    return Shape(tuple(_field(name, leaf, f"{key}.{name}") for name, leaf in tree.items()))


def _field(name: str, leaf: "str | Tree", key: str) -> Field:
    if isinstance(leaf, Mapping) and WHEN_KNOWN in leaf:
        return Field(name, compile_shape(leaf[WHEN_KNOWN], key), when_known=True)
    return Field(name, compile_shape(leaf, key))
