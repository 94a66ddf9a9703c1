"""`michiq-proxy settings`: shows the settings in force and their sources; secrets only as set or unset."""

import click

from proxy.cli.common import no_collections


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def settings(*, as_json: bool) -> None:
    """Show the settings in force, from environment, .env and defaults; secrets only as set or unset."""
    with no_collections():
        from proxy.cli.settings.run import run
    run(as_json=as_json)
