"""The mapping files' JSON Schemas, for editors."""

from collections.abc import Mapping
from typing import Any

from proxy.mapping.models import OrganizationsFile
from proxy.web.flows import SPECS


def schemas() -> Mapping[str, dict[str, Any]]:
    """By the files' names, without `.toml`."""
    models = {spec.name: spec.model for spec in SPECS} | {"organizations": OrganizationsFile}
    return {name: model.model_json_schema(by_alias=True) for name, model in models.items()}
