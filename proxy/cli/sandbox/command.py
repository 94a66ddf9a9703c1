"""`michiq-proxy sandbox`: runs the three systems around the proxy, strict to their documents."""

import click

from proxy.cli.common import no_collections

ports_option = click.option(
    "--ports",
    nargs=3,
    type=click.IntRange(0, 65535),
    default=(8081, 8082, 8083),
    show_default=True,
    help="Ports of the sandbox's Llamalitica, LlamaChat and legacy michiQ; 0 means a free one.",
)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@ports_option
@click.option("--webhook-url", help="The URL for Llamalitica's signed events.")
def sandbox(host: str, ports: tuple[int, int, int], webhook_url: str | None) -> None:
    """Run the new Llamalitica API, LlamaChat and a legacy michiQ with synthetic data and public keys."""
    with no_collections():
        from proxy.cli.sandbox.run import run
    run(host, ports, webhook_url)
