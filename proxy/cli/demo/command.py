"""`michiq-proxy demo`: runs the proxy in front of the sandbox, and prints lines to paste."""

import click

from proxy.cli.common import no_collections
from proxy.cli.sandbox.command import ports_option


@click.command()
@ports_option
def demo(ports: tuple[int, int, int]) -> None:
    """Run the proxy and the sandbox on synthetic data, state under var/; print a curl line for each route."""
    with no_collections():
        from proxy.cli.demo.run import run
    run(ports)
