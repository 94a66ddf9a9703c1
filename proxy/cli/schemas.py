"""The mapping files' JSON Schemas, for editors."""

import json
from collections.abc import Mapping
from typing import Final

from proxy.mapping.base import Model
from proxy.mapping.models import OrganizationsFile
from proxy.web.flows import SPECS

# By the files' names, without `.toml`.
MODELS: Final[Mapping[str, type[Model]]] = {
    **{spec.name: spec.model for spec in SPECS},
    "organizations": OrganizationsFile,
}


def schema_of(name: str) -> str:
    """The schema as JSON for a person to read."""
    return json.dumps(MODELS[name].model_json_schema(), indent=2, ensure_ascii=False)
