"""Prints the settings in force for `michiq-proxy settings`."""

from collections.abc import Mapping
from pathlib import Path

import click
from pydantic import SecretStr

from proxy.cli.common import read_settings
from proxy.cli.shared.console import columns, show
from proxy.cli.shared.store_access import echo_json
from proxy.environment import PREFIX
from proxy.postgresql_url import without_password
from proxy.settings import Settings


def run(*, as_json: bool) -> None:
    """Prints each setting with its value and its source."""
    read = read_settings()
    rows = {
        f"{PREFIX}{name.upper()}": (_shown(name, getattr(read, name)), _from(read, name)) for name in _names()
    }
    if as_json:
        echo_json({name: {"value": value, "from": source} for name, (value, source) in rows.items()})
        return
    table = columns("setting", "value", "from", wraps=["value"])
    for name, (value, source) in rows.items():
        table.add_row(name, value, source)
    click.echo(f"folder: {Path.cwd()}")
    show(table)


def _names() -> list[str]:
    return list(Settings.model_fields)


def _from(read: Settings, name: str) -> str:
    return "set" if name in read.model_fields_set else "default"


def _shown(name: str, value: object) -> str:
    """Returns a setting as an operator would write it, without secrets; of tokens the names."""
    if name == "database_url" and isinstance(value, SecretStr):
        return without_password(value.get_secret_value())
    return _plain(value)


def _plain(value: object) -> str:
    if value is None or value == () or value == {}:
        return "unset"
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, Mapping):
        return ",".join(f"{name}:set" for name in value)
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    return str(value)
