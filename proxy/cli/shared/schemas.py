"""Writes the JSON Schemas of the mapping files, for editors."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Final

from proxy.flows.registry import SPECS
from proxy.mapping.base import Model
from proxy.mapping.models import OrganizationsFile

# By the files' names, without `.toml`.
MODELS: Final[Mapping[str, type[Model]]] = {
    **{spec.name: spec.model for spec in SPECS},
    "organizations": OrganizationsFile,
}


def schema_of(name: str) -> str:
    """Returns the schema as JSON that a person can read."""
    _describe()
    return json.dumps(MODELS[name].model_json_schema(), indent=2, ensure_ascii=False)


@cache
def _describe() -> None:
    """Gives each field of the models its description.

    pydantic could do so itself, but would read the source of all models at each start of the proxy.
    """
    models = [*_below(Model)]
    for model in models:
        written = {name: text for each in reversed(model.__mro__) for name, text in _written(each).items()}
        for name, field in model.model_fields.items():
            field.description = field.description or written.get(name)
    for model in models:  # a model comes after those that it holds
        model.model_rebuild(force=True)


def _below(model: type[Model]) -> Iterator[type[Model]]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)


@cache
def _written(model: type) -> Mapping[str, str]:
    """Returns the strings that stand under the fields of a class, by the fields."""
    if not issubclass(model, Model):
        return {}
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    return dict(_strings_under_fields(tree))


def _strings_under_fields(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in pairwise(tree.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, inspect.cleandoc(said)
