"""Makes plain functions of simple JMESPath syntax trees, which jmespath itself walks anew for each value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Getter: TypeAlias = Callable[[Any], Any]
Node: TypeAlias = Mapping[str, Any]


def getter_of(tree: Node) -> Getter | None:
    """Returns what gives the expression's value; None for a tree that jmespath has to walk."""
    make = _MAKERS.get(tree["type"])
    if make is None:
        return None
    inner = [getter_of(child) for child in tree["children"]]
    known = [each for each in inner if each is not None]
    return make(tree.get("value"), known) if len(known) == len(inner) else None


def _itself(value: Any) -> Any:
    return value


def _same(_name: Any, _inner: Sequence[Getter]) -> Getter:
    return _itself


def _field(name: Any, _inner: Sequence[Getter]) -> Getter:
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _literal(fixed: Any, _inner: Sequence[Getter]) -> Getter:
    return lambda _value: fixed


def _path(_name: Any, inner: Sequence[Getter]) -> Getter:
    first, *rest = inner

    def get(value: Any) -> Any:
        value = first(value)
        for each in rest:
            value = each(value)
        return value

    return get


def _list(_name: Any, inner: Sequence[Getter]) -> Getter:
    return lambda value: None if value is None else [each(value) for each in inner]


def _flat(_name: Any, inner: Sequence[Getter]) -> Getter:
    (base,) = inner

    def get(value: Any) -> Any:
        items = base(value)
        if not isinstance(items, list):
            return None
        flat: list[Any] = []
        for item in items:
            if isinstance(item, list):
                flat += item
            else:
                flat.append(item)
        return flat

    return get


def _each(_name: Any, inner: Sequence[Getter]) -> Getter:
    base, of_item = inner

    def get(value: Any) -> Any:
        items = base(value)
        return _of_each(of_item, items) if isinstance(items, list) else None

    return get


def _each_value(_name: Any, inner: Sequence[Getter]) -> Getter:
    base, of_item = inner

    def get(value: Any) -> Any:
        items = base(value)
        return _of_each(of_item, [*items.values()]) if isinstance(items, dict) else None

    return get


def _of_each(of_item: Getter, items: Sequence[Any]) -> list[Any]:
    return [found for item in items if (found := of_item(item)) is not None]


_MAKERS: Final[Mapping[str, Callable[[Any, Sequence[Getter]], Getter]]] = {
    "current": _same,
    "identity": _same,
    "field": _field,
    "literal": _literal,
    "subexpression": _path,
    "pipe": _path,
    "multi_select_list": _list,
    "flatten": _flat,
    "projection": _each,
    "value_projection": _each_value,
}
