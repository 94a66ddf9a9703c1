"""`michiq-proxy sandbox`: runs the three systems around the proxy, strict to their documents."""

import asyncio

import click

from proxy.cli.running import run_until_stopped
from proxy.sandbox import SandboxConfig, run_sandbox

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
    run_until_stopped(lambda stop: _sandbox(host, ports, webhook_url, stop))


async def _sandbox(
    host: str, ports: tuple[int, int, int], webhook_url: str | None, stop: asyncio.Event
) -> None:
    config = SandboxConfig(webhook_url=webhook_url)
    async with run_sandbox(config, host=host, ports=ports) as systems:
        click.echo(f"Llamalitica   {systems.llamalitica.url}   X-API-KEY: {min(config.api_keys)}")
        click.echo(f"LlamaChat     {systems.llamachat.url}   X-Api-Key: {min(config.chat_keys.values())}")
        click.echo(f"legacy michiQ {systems.michiq.url}   API_KEY: {min(config.api_keys)}")
        click.echo("Faults and recorded calls: /_sandbox/faults, /_sandbox/calls on each. Ctrl+C ends.")
        await stop.wait()
