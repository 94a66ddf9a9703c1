"""`michiq-proxy can-switch`: checks whether the evidence is enough to move a route to the new side."""

import click

from proxy.cli.common import no_collections


@click.command("can-switch")
@click.argument("route")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def can_switch(context: click.Context, route: str, *, as_json: bool) -> None:
    """Check whether ROUTE can move to the new side, and show the figures behind the answer.

    The thresholds are in the route's mapping file, under [switch]. Exit code 0: yes; 1: no; 2: wrong usage or
    settings.
    """
    with no_collections():
        from proxy.cli.can_switch.run import run
    if not run(route, as_json=as_json):
        context.exit(1)
