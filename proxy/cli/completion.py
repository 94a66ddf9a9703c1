"""`michiq-proxy completion`: prints what a shell reads to complete commands and options."""

import os
from pathlib import Path
from typing import Final

import click
from click.shell_completion import get_completion_class

from proxy.cli.common import Misuse

_SHELLS: Final = ("bash", "zsh", "fish")
_NAME: Final = "michiq-proxy"


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print a script for SHELL (default: the one in $SHELL) that completes commands and options."""
    shell = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(shell) if shell in _SHELLS else None
    if found is None:
        raise Misuse(f"name the shell: {', '.join(_SHELLS)}")
    command = context.find_root().command
    click.echo(found(command, {}, _NAME, "_MICHIQ_PROXY_COMPLETE").source())
