"""Runs the proxy in front of the sandbox for `michiq-proxy demo`."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from cryptography.fernet import Fernet

from proxy.cli.common import mappings_folder, read_settings, read_table
from proxy.cli.demo.case import DemoCase, curl_lines, make_case, write_files
from proxy.cli.demo.env import demo_environment, write_environment
from proxy.cli.shared.running import reload_on_hangup, run_until_stopped
from proxy.cli.shared.startup_checks import refuse_what_is_unsafe
from proxy.observe.logs import setup
from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.server.open_files import raise_limit
from proxy.web.service import Running, running

_VAR: Final = Path("var")
_FILES: Final = _VAR / "demo"
_ENVIRONMENT: Final = _VAR / "demo.env"


def run(ports: tuple[int, int, int]) -> None:
    """Runs the demo until it is stopped."""
    refuse_what_is_unsafe()
    raise_limit()
    run_until_stopped(lambda stop: _demo(ports, stop))


async def _demo(ports: tuple[int, int, int], stop: asyncio.Event) -> None:
    # Until the lines to paste are printed, the log has warnings only; then it shows what the pasted calls do.
    setup(sys.stderr, pretty=sys.stderr.isatty(), level="warning")
    key = await asyncio.to_thread(_secret_key, _VAR / "secret.key")
    config = SandboxConfig(transcripts=await asyncio.to_thread(write_files, _FILES))
    async with run_sandbox(config, ports=ports) as systems:
        # These override the environment: the demo never calls a real system with its invented patients.
        fixed = {
            "MICHIQ_SECRET_KEYS": key,
            "MICHIQ_LLAMALITICA_API_URL": systems.llamalitica.url,
            "MICHIQ_LLAMALITICA_WEB_URL": systems.llamalitica.url,
            "MICHIQ_LLAMACHAT_URL": systems.llamachat.url,
            "MICHIQ_LLAMACHAT_API_KEY": min(config.chat_keys.values()),
            "MICHIQ_LEGACY_URL": systems.michiq.url,
            "MICHIQ_WEBHOOK_SECRETS": config.webhook_secret,
        }
        settings = read_settings(**fixed)
        folder = mappings_folder(settings.mappings)
        async with running(settings, read_table(folder), folder=folder) as proxy:
            reload_on_hangup(proxy.reload_soon)
            systems.llamalitica.webhook_url = f"{proxy.url}/webhooks/llamalitica"
            case = await make_case(proxy.url, _FILES)
            environment = demo_environment(fixed, settings, folder, proxy)
            await asyncio.to_thread(write_environment, _ENVIRONMENT, environment)
            click.echo("\n".join(_lines(proxy, systems, case)))
            setup(sys.stderr, pretty=sys.stderr.isatty())
            await stop.wait()


def _secret_key(path: Path) -> str:
    """Returns the key, made on the first start; the demo's state can only be read with it."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Fernet.generate_key().decode())
    return path.read_text().strip()


def _lines(proxy: Running, systems: Sandbox, case: DemoCase) -> Iterator[str]:
    yield f"michiq-proxy     {proxy.url}   (health: {proxy.admin_url}/readyz)"
    yield f"sandbox          Llamalitica {systems.llamalitica.url}, LlamaChat {systems.llamachat.url},"
    yield f"                 legacy michiQ {systems.michiq.url}"
    yield f"other shells     set -a; . {_ENVIRONMENT}; set +a   (then: michiq-proxy routes)"
    for route, line in curl_lines(proxy.url, _FILES, case):
        yield f"\n# {route}\n{line}"
    yield "\nReady. Ctrl+C ends."
