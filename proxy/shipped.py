"""Finds the folders that ship with the program: a wheel has them inside the package, a checkout beside it.

Not by importlib.resources: what lies beside the package in a checkout is no resource of it.
"""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def mappings() -> Path:
    """Returns the folder of the default mapping files."""
    return _first(_PACKAGE / "default_mappings", _PACKAGE.parent / "mappings")


def descriptions() -> Path:
    """Returns the folder of the OpenAPI descriptions."""
    return _first(_PACKAGE / "descriptions", _PACKAGE.parent / "contracts")


def _first(*folders: Path) -> Path:
    return next(folder for folder in folders if folder.is_dir())
