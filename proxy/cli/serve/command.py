"""`michiq-proxy serve`: runs the proxy until it is asked to stop."""

import sys
from importlib import import_module

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--line", "channel", type=int, hidden=True, help="For a worker: the channel to its parent.")
@click.option("--listen", type=int, multiple=True, hidden=True)
@click.option("--admin", type=int, multiple=True, hidden=True)
@click.option("--status", type=int, multiple=True, hidden=True)
def serve(
    channel: int | None, listen: tuple[int, ...], admin: tuple[int, ...], status: tuple[int, ...]
) -> None:
    """Serve the legacy routes with the settings and the mapping files."""
    with no_collections():
        _import_without_rich("structlog")
        from proxy.cli.serve.run import run
    run(channel, listen, admin, status)


def _import_without_rich(name: str) -> None:
    """Imports the module as if rich were not installed.

    structlog uses rich for tracebacks in colour, which the log never has: they cost a tenth of the memory.
    """
    if name not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # an import of it fails
        import_module(name)
        del sys.modules["rich"]
