"""Prints the settings in force for `michiq-proxy settings`."""

from pathlib import Path

import click

from proxy.cli.common import read_settings
from proxy.cli.shared.console import columns, show
from proxy.cli.shared.store_access import echo_json
from proxy.rollout.operations.shown_settings import shown_settings


def run(*, as_json: bool) -> None:
    """Prints each setting with its value and its source."""
    shown = shown_settings(read_settings())
    if as_json:
        echo_json({each.name: {"value": each.value, "from": each.source} for each in shown})
        return
    table = columns("setting", "value", "from", wraps=["value"])
    for each in shown:
        table.add_row(each.name, each.value, each.source)
    click.echo(f"folder: {Path.cwd()}")
    show(table)
