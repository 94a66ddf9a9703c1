"""Runs the three systems of `michiq-proxy sandbox`."""

import asyncio

import click

from proxy.cli.shared.running import run_until_stopped
from proxy.sandbox import SandboxConfig, run_sandbox


def run(host: str, ports: tuple[int, int, int], webhook_url: str | None) -> None:
    """Runs the sandbox until it is stopped."""
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
