"""Checks a mapping's expressions before any request: the functions they call, the facts they read."""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Final

from jmespath.functions import Functions

from proxy.mapping.complaints import did_you_mean
from proxy.mapping.shape import WHEN_KNOWN, BadExpression, Expression

_TREE: Final = "write a JMESPath expression in quotes, or a table of fields"


def check(tree: object, key: str, facts: Set[str] | None) -> Iterator[BadExpression]:
    """Yields every error of the expression, or the table of expressions (`shape.Tree`), at `key`.

    `facts` are the dotted names that may be read, `.*` at the end standing for any JSON below; None allows
    every name.
    """
    if isinstance(tree, str):
        yield from _of_text(tree, key, facts)
    elif not isinstance(tree, Mapping):
        yield BadExpression(key, _TREE)
    elif WHEN_KNOWN not in tree:
        for name, leaf in tree.items():
            yield from check(leaf, f"{key}.{name}", facts)
    elif len(tree) > 1 or not isinstance(tree[WHEN_KNOWN], str):
        yield BadExpression(key, f"{WHEN_KNOWN} must be the only key of its table, with one expression")
    else:
        yield from check(tree[WHEN_KNOWN], key, facts)


def reads(expression: Expression) -> Set[str]:
    """Returns the dotted paths from the root that the expression certainly reads."""
    return frozenset(_walk(expression.syntax, "")[0])


def _of_text(text: str, key: str, facts: Set[str] | None) -> Iterator[BadExpression]:
    try:
        expression = Expression(text, key)
    except BadExpression as bad:
        yield bad
        return
    for flaw in filter(None, map(_flaw, _nodes(expression.syntax))):
        yield BadExpression(key, f"{text!r} {flaw}")
    if facts is not None:
        for path in sorted(reads(expression)):
            if not any(_covers(fact, path) for fact in facts):
                yield BadExpression(key, f"{text!r} reads an unknown fact: {path}{_offer(path, facts)}")


def _offer(path: str, facts: Set[str]) -> str:
    names = sorted(fact.removesuffix(".*") for fact in facts)
    return did_you_mean(path, names) or f"; there are {', '.join(names)}"


def _covers(fact: str, path: str) -> bool:
    """Returns whether `path` is the fact, or holds it, or is a part of it."""
    name = fact.removesuffix(".*")
    return f"{name}.".startswith(f"{path}.") or (name != fact and path.startswith(f"{name}."))


def _children(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the expressions below a node; a slice has three numbers there instead."""
    return [] if node["type"] == "slice" else list(node["children"])


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in _children(node):
        yield from _nodes(child)


def _flaw(node: Mapping[str, Any]) -> str | None:
    """Returns an error that JMESPath itself would report only when the expression meets its facts."""
    if node["type"] == "slice" and node["children"][2] == 0:
        return "has a slice whose step is 0"
    if node["type"] != "function_expression":
        return None
    name, given = node["value"], len(node["children"])
    if name not in Functions.FUNCTION_TABLE:
        return f"calls an unknown function: {name}(){did_you_mean(name, Functions.FUNCTION_TABLE)}"
    wanted = Functions.FUNCTION_TABLE[name]["signature"]
    more = bool(wanted) and wanted[-1].get("variadic", False)
    if given < len(wanted) or (given > len(wanted) and not more):
        return f"gives {name}() {given} arguments; it takes {len(wanted)}{' or more' if more else ''}"
    return None


def _walk(node: Mapping[str, Any], base: str | None) -> tuple[set[str], str | None]:
    """Returns the paths that a node reads when it is evaluated at `base`, and the path of its result.

    The path is None if it can't be named, as for an element of a projection; fields below it are not checked.
    """
    kind, children = node["type"], _children(node)
    if kind == "field":
        path = None if base is None else f"{base}.{node['value']}".lstrip(".")
        return ({path} if path else set()), path
    if kind in ("current", "identity"):
        return set(), base
    if kind in ("subexpression", "pipe"):
        found: set[str] = set()
        for child in children:
            more, base = _walk(child, base)
            found |= more
        return found, base
    if kind in ("projection", "filter_projection", "value_projection", "flatten", "index_expression"):
        first, *rest = children
        return _union([_walk(first, base), *(_walk(child, None) for child in rest)]), None
    return _union(_walk(child, None if kind == "expref" else base) for child in children), None


def _union(walked: Iterable[tuple[set[str], str | None]]) -> set[str]:
    return {path for found, _ in walked for path in found}
