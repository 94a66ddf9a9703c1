"""The descriptions are valid OpenAPI 3.1, their examples fit them, and they know what the mappings say."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from ruamel.yaml import YAML

from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from tests.conftest import ROOT
from tests.contracts.description import ADMIN, CONTRACTS, LEGACY, LLAMACHAT, LLAMALITICA, Description

ALL: Final = (LEGACY, LLAMALITICA, LLAMACHAT, ADMIN)
every_description = pytest.mark.parametrize("description", ALL, ids=lambda each: each.name)

# A route that is switched off is gone, which no description of a working API has a word for.
NOT_DESCRIBED: Final = {"off", "brownout", "legacy_unreachable", "legacy_timeout"}


@every_description
def test_the_description_is_valid_openapi(description: Description) -> None:
    document = YAML(typ="safe").load(CONTRACTS / f"{description.name}.yaml")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@every_description
def test_every_example_fits_its_schema(description: Description) -> None:
    examples = list(_examples(description.document))
    wrong = [
        f"{value!r}: {error}" for schema, value in examples for error in description.errors(schema, value)
    ]
    assert examples
    assert wrong == []


def _examples(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yields every schema that has examples, with each of them."""
    if isinstance(node, dict):
        if isinstance(node.get("schema"), dict):
            given = [each["value"] for each in node.get("examples", {}).values()]
            for value in [*given, *([node["example"]] if "example" in node else [])]:
                yield node["schema"], value
        for each in node.values():
            yield from _examples(each)
    elif isinstance(node, list):
        for each in node:
            yield from _examples(each)


@every_description
def test_every_operation_shows_an_example_of_its_success(description: Description) -> None:
    silent = [
        operation["operationId"]
        for methods in description.operations.values()
        for method, operation in methods.items()
        if method != "HEAD" and not any(_shown(description, operation))
    ]
    # What a webhook is answered with has one value only; pages are for people; one route can't succeed.
    assert set(silent) <= {"casePage", "miniWidget", "reportEvent", "queryWithoutId"}


def _shown(description: Description, operation: dict[str, Any]) -> Iterator[bool]:
    response = description.resolved(operation["responses"].get("200")) or {}
    for media in response.get("content", {}).values():
        yield bool(media.get("examples"))


def test_the_legacy_description_knows_every_status_and_text_of_the_default_mappings() -> None:
    """And so `michiq-legacy.yaml` can't fall behind a text that is changed in a mapping."""
    table = load_table(ROOT / "mappings", SPECS)
    wrong = []
    for name, route in table.routes.items():
        operation = LEGACY.operations[route.mapping.path][route.mapping.method]
        for kind, error in route.mapping.errors.items():
            response = LEGACY.resolved(operation["responses"].get(str(error.status)))
            if kind in NOT_DESCRIBED:
                continue
            schema = response and response["content"]["text/plain; charset=utf-8"]["schema"]
            wrong += [f"{name} {kind}"] if schema is None or LEGACY.errors(schema, error.text) else []
    # GET routes read no body, so these never happen there.
    assert {each for each in wrong if each.split()[1] not in ("too_large", "unsupported_encoding")} == set()
    assert {each.split()[0] for each in wrong} <= {"doc", "encounters", "encounter_page"}


def test_the_legacy_description_has_every_route_of_the_proxy_and_no_other() -> None:
    table = load_table(ROOT / "mappings", SPECS)
    routes = {(route.mapping.path, route.mapping.method) for route in table.routes.values()}
    described = {(path, method) for path, method, _ in LEGACY.documented() if method != "HEAD"}
    assert described - routes == {("/michiQ/query/", "POST")}
    assert routes <= described
