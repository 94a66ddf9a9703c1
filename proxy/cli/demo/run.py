"""Runs the proxy in front of the sandbox for `michiq-proxy demo`."""

import asyncio
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from cryptography.fernet import Fernet

from proxy.addresses.s3 import SCHEME
from proxy.cli.common import mappings_folder, read_settings, read_table
from proxy.cli.demo.case import (
    API_KEY,
    ORGANIZATION,
    OTHER_USER,
    USER,
    DemoCase,
    curl_lines,
    make_case,
    write_files,
)
from proxy.cli.shared.running import reload_on_hangup, run_until_stopped
from proxy.cli.shared.startup_checks import refuse_what_is_unsafe
from proxy.observe.logs import setup
from proxy.postgresql_url import is_postgresql
from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.server.open_files import raise_limit
from proxy.settings import SQLITE, Settings, without_files
from proxy.store.locations import blobs_folder, database_path
from proxy.web.service import Running, running

_VAR: Final = Path("var")
_FILES: Final = _VAR / "demo"
_ENVIRONMENT: Final = _VAR / "demo.env"
_OPERATOR: Final = "demo"
_ENVIRONMENT_HEAD: Final = """\
# Made by `michiq-proxy demo` for the commands that look at it. In a shell:
#   set -a; . {path}; set +a
# It holds the demo's keys. Nobody else may read it.
"""


def run(ports: tuple[int, int, int]) -> None:
    """Runs the demo until it is stopped."""
    refuse_what_is_unsafe()
    raise_limit()
    run_until_stopped(lambda stop: _demo(ports, stop))


async def _demo(ports: tuple[int, int, int], stop: asyncio.Event) -> None:
    # Until the lines to paste are printed, the log has warnings only; then it shows what the pasted calls do.
    setup(sys.stderr, pretty=sys.stderr.isatty(), level="warning")
    key = await asyncio.to_thread(_made_once, _VAR / "secret.key", lambda: Fernet.generate_key().decode())
    config = SandboxConfig(transcripts=await asyncio.to_thread(write_files, _FILES))
    async with run_sandbox(config, ports=ports) as systems:
        # These override the environment: the demo never calls a real system with its invented patients.
        fixed = {
            "MICHIQ_SECRET_KEYS": key,
            "MICHIQ_MIGRATE": "start",
            "MICHIQ_LLAMALITICA_API_URL": systems.llamalitica.url,
            "MICHIQ_LLAMALITICA_WEB_URL": systems.llamalitica.url,
            "MICHIQ_LLAMACHAT_URL": systems.llamachat.url,
            "MICHIQ_LLAMACHAT_API_KEY": min(config.chat_keys.values()),
            "MICHIQ_LEGACY_URL": systems.michiq.url,
            "MICHIQ_WEBHOOK_SECRETS": config.webhook_secret,
        }
        if not read_settings(**fixed).admin_tokens:
            # The operator's page is to be seen at once; the token is the same after a restart.
            token = await asyncio.to_thread(_made_once, _VAR / "admin.token", secrets.token_urlsafe)
            fixed["MICHIQ_ADMIN_TOKENS"] = f"{_OPERATOR}:{token}"
        settings = own_store(read_settings(**fixed), fixed)
        folder = mappings_folder(settings.mappings)
        async with running(settings, read_table(folder), folder=folder) as proxy:
            reload_on_hangup(proxy.reload_soon)
            systems.llamalitica.webhook_url = f"{proxy.url}/webhooks/llamalitica"
            case = await make_case(proxy.url, _FILES)
            environment = demo_environment(fixed, settings, folder, proxy)
            await asyncio.to_thread(write_environment, _ENVIRONMENT, environment)
            own = fixed.get("MICHIQ_ADMIN_TOKENS", "").partition(":")[2]
            shown = own or "one of MICHIQ_ADMIN_TOKENS"
            click.echo("\n".join(_lines(proxy, systems, case, shown)))
            setup(sys.stderr, pretty=sys.stderr.isatty())
            await stop.wait()


def own_store(settings: Settings, fixed: Mapping[str, str]) -> Settings:
    """Returns the settings with files for the store: invented patients never go to real servers."""
    far = is_postgresql(settings.database_url.get_secret_value()) or settings.blobs_url.startswith(SCHEME)
    files = {"MICHIQ_DATABASE_URL": f"{SQLITE}{_VAR}/michiq.db", "MICHIQ_BLOBS_URL": f"file:{_VAR}/blobs"}
    return read_settings(**fixed, **files) if far else settings


def _made_once(path: Path, make: Callable[[], str]) -> str:
    """Returns the secret in the file, made on the first start; the demo's state goes with its secrets."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text().strip()


def _lines(proxy: Running, systems: Sandbox, case: DemoCase, token: str) -> Iterator[str]:
    yield f"michiq-proxy     {proxy.url}   (health: {proxy.admin_url}/readyz)"
    yield f"operator's page  {proxy.admin_url}/   (token: {token})"
    yield f"sandbox          Llamalitica {systems.llamalitica.url}, LlamaChat {systems.llamachat.url},"
    yield f"                 legacy michiQ {systems.michiq.url}"
    yield f"other shells     set -a; . {_ENVIRONMENT}; set +a   (then: michiq-proxy routes)"
    yield "a day of traffic .venv/bin/python examples/traffic.py   (then: look at the page)"
    for route, line in curl_lines(proxy.url, _FILES, case):
        yield f"\n# {route}\n{line}"
    yield "\nReady. Ctrl+C ends."


def demo_environment(
    fixed: Mapping[str, str], settings: Settings, folder: Path, proxy: Running
) -> dict[str, str]:
    """Returns the variables for a shell in any folder; `fixed` are the settings that the demo itself made.

    The CONTRACT_ ones are for `michiq-proxy contract`.
    """
    database = database_path(settings.database_url.get_secret_value())
    made = {
        **fixed,
        "MICHIQ_DATABASE_URL": f"{SQLITE}{database.absolute()}",
        "MICHIQ_BLOBS_URL": f"file:{blobs_folder(settings.blobs_url).absolute()}",
        "MICHIQ_MAPPINGS": str(folder.absolute()),
        "MICHIQ_ADMIN_LISTEN": urlsplit(proxy.admin_url).netloc,
        "CONTRACT_TARGET": proxy.url,
        "CONTRACT_API_KEY": API_KEY,
        "CONTRACT_ORGANIZATION": ORGANIZATION,
        "CONTRACT_USER": USER,
        "CONTRACT_OTHER_USER": OTHER_USER,
    }
    return without_files(made)


def write_environment(path: Path, environment: Mapping[str, str]) -> None:
    """Writes the variables as a shell reads them, into a file of mode 0600, in one step."""
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items())
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600, exist_ok=False)
    unfinished.write_text(_ENVIRONMENT_HEAD.format(path=path) + lines, "utf-8")
    unfinished.replace(path)
