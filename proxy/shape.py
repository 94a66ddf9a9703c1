"""Legacy bodies described as JMESPath expressions over the facts that a flow offers."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError

from proxy.values import Json

# A table of legacy fields. A leaf is an expression, or `{ when_known = expression }` for a field that
# is left out while its fact is null.
Tree: TypeAlias = "Mapping[str, str | Tree]"

WHEN_KNOWN: Final = "when_known"


class BadExpression(ValueError):
    """An expression that can't be used; `key` is its dotted place in the mapping."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class Expression:
    """One compiled JMESPath expression."""

    def __init__(self, text: str, key: str) -> None:
        try:
            self._compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise BadExpression(key, f"not a JMESPath expression: {text!r}") from error
        self.text = text
        self.key = key

    def over(self, facts: Json) -> Json:
        """The expression's value; null also where a function met a value that it can't take."""
        try:
            value: Json = self._compiled.search(facts)
        except JMESPathError:
            return None
        return value

    def reads(self) -> Set[str]:
        """The dotted paths from the root that the expression is known to read."""
        return frozenset(_walk(self._compiled.parsed, "")[0])


@dataclass(frozen=True, slots=True)
class Field:
    """A legacy field: its name, its value's expression or table, and whether null leaves it out."""

    name: str
    value: "Expression | Shape"
    when_known: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled table of legacy fields, in the order of the mapping file."""

    fields: tuple[Field, ...]

    def over(self, facts: Json) -> dict[str, Json]:
        """The legacy object for these facts."""
        values = ((field, field.value.over(facts)) for field in self.fields)
        return {field.name: value for field, value in values if not (field.when_known and value is None)}

    def expressions(self) -> Iterator[Expression]:
        for field in self.fields:
            yield from [field.value] if isinstance(field.value, Expression) else field.value.expressions()


def compile_shape(tree: Tree, key: str) -> Shape:
    """The shape of a mapping's table that stands at `key`; BadExpression names the field."""
    return Shape(tuple(_field(name, leaf, f"{key}.{name}") for name, leaf in tree.items()))


def unknown_facts(expressions: Iterable[Expression], facts: Set[str]) -> Iterator[BadExpression]:
    """A complaint for each path that is not among `facts`.

    `facts` are dotted names; one that ends in `.*` stands for any JSON below it.
    """
    for expression in expressions:
        for path in sorted(expression.reads()):
            if not any(_covers(fact, path) for fact in facts):
                yield BadExpression(expression.key, f"{expression.text!r} reads an unknown fact: {path}")


def _field(name: str, leaf: "str | Tree", key: str) -> Field:
    if isinstance(leaf, str):
        return Field(name, Expression(leaf, key))
    if set(leaf) == {WHEN_KNOWN}:
        return Field(name, Expression(str(leaf[WHEN_KNOWN]), key), when_known=True)
    return Field(name, compile_shape(leaf, key))


def _covers(fact: str, path: str) -> bool:
    if fact.endswith(".*"):
        return f"{path}.".startswith(fact[:-1])
    return fact == path or fact.startswith(f"{path}.")


def _walk(node: Mapping[str, Any], base: str | None) -> tuple[set[str], str | None]:
    """The paths that a node reads when it is evaluated at `base`, and the path that it stands for.

    None is a place that can't be named, such as an element of a projection; fields below it are free.
    """
    kind, children = node["type"], node["children"]
    if kind == "field":
        path = None if base is None else f"{base}.{node['value']}".lstrip(".")
        return ({path} if path else set()), path
    if kind in ("current", "identity"):
        return set(), base
    if kind in ("subexpression", "pipe"):
        left, middle = _walk(children[0], base)
        right, result = _walk(children[1], middle)
        return left | right, result
    if kind in ("projection", "filter_projection", "value_projection", "flatten", "index_expression"):
        first, *rest = children
        return _union([_walk(first, base), *(_walk(child, None) for child in rest)]), None
    return _union(_walk(child, None if kind == "expref" else base) for child in children), None


def _union(walked: Iterable[tuple[set[str], str | None]]) -> set[str]:
    return {path for reads, _ in walked for path in reads}
