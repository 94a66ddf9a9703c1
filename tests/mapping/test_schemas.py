"""The JSON Schemas that editors check mapping files with."""

import json
import tomllib
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from proxy.cli.shared.schemas import MODELS, schema_of
from tests.mapping.folders import DEFAULTS

NAMES = sorted(MODELS)
SCHEMAS: Final[dict[str, Any]] = {name: json.loads(schema_of(name)) for name in NAMES}


def errors(name: str, data: dict[str, Any]) -> list[str]:
    """Returns the dotted keys at which a file does not fit its schema."""
    found = Draft202012Validator(SCHEMAS[name]).iter_errors(data)
    return [".".join(map(str, error.absolute_path)) for error in found]


def default(name: str) -> dict[str, Any]:
    return tomllib.loads((DEFAULTS / f"{name}.toml").read_text("utf-8"))


def test_every_mapping_file_has_a_schema() -> None:
    assert {f"{name}.toml" for name in NAMES} == {path.name for path in DEFAULTS.glob("*.toml")}


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_accepts_the_default_file(name: str) -> None:
    assert errors(name, default(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_refuses_an_unknown_key(name: str) -> None:
    assert errors(name, default(name) | {"unknown": 1}) == [""]


@pytest.mark.parametrize(
    ("name", "change", "key"),
    [
        ("doc", {"mode": "mirror"}, "mode"),
        ("doc", {"timeout": 15}, "timeout"),
        ("doc", {"timeout": "soon"}, "timeout"),
        ("doc", {"path": "/michiQ/doc"}, "path"),
        ("doc", {"body_pause": 60}, "body_pause"),
        ("doc", {"cors_origins": ["*"]}, "cors_origins"),
        ("encounters", {"path": "/michiQ/encounters/{id}"}, "path"),
        ("new_case", {"body_limit": 10}, "body_limit"),
        ("new_case", {"provision": "all"}, "provision"),
        ("query", {"answer": 3}, "answer"),
        ("query", {"answer": {"response": 3}}, "answer"),
        ("encounter_page", {"ui": {"colors": {"primary": "blue"}}}, "ui.colors"),
        ("organizations", {"organizations": {"A": {"parent": "yes"}}}, "organizations.A.parent"),
    ],
)
def test_a_schema_refuses_what_the_loader_would(name: str, change: dict[str, Any], key: str) -> None:
    found = errors(name, default(name) | change)
    assert any(place.startswith(key) for place in found), found


def test_a_schema_tells_what_a_key_means() -> None:
    assert "The form of the conversation" in str(SCHEMAS["new_case"]["properties"]["conversation"])


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_names_no_default_that_an_operator_could_not_write(name: str) -> None:
    """Checks defaults, which an editor offers: "30 s", not the number that it is read as."""
    for property_ in SCHEMAS[name]["properties"].values():
        if "default" in property_ and property_.get("type") in ("string", "integer", "boolean"):
            kind = {"string": str, "integer": int, "boolean": bool}[property_["type"]]
            assert isinstance(property_["default"], kind)
