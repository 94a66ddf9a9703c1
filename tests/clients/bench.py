"""The bench that clients run against: the relay, the proxy and the sandbox, and the files to send."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from yarl import URL

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from proxy.web.service import running
from tests.clients.relay import Relay, relaying
from tests.clients.roster import BUILD, ENVIRONMENT, Client
from tests.clients.session import Materials, make_materials
from tests.conftest import API_KEY, edited_table, settings_for

_SECONDS: Final = 120.0
# What an operator does for clients whose library can't send the í (docs/clients.md, Java and .NET).
_ORGANIZATIONS: Final = "".join(
    f'\n[organizations."{name}"]\nsend_as = "Clínica Norte"\n' for name in ("Cl?nica Norte", "Clinica Norte")
)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that a client is run against."""

    relay: Relay
    sandbox: Sandbox
    materials: Materials = field(repr=False)
    folder: Path

    def argv(self, command: Sequence[str]) -> list[str]:
        return [word.replace(BUILD, str(self.folder)) for word in command]

    def environment(self, client: Client) -> dict[str, str]:
        return {
            **os.environ,
            **ENVIRONMENT,
            "LEGACY_URL": self.relay.url,
            "LEGACY_API_KEY": API_KEY,
            "LEGACY_USER": f"{client.name}@clinica.example",
            "LEGACY_FILES": str(self.folder),
        }


@asynccontextmanager
async def open_bench(folder: Path) -> AsyncIterator[Bench]:
    """A proxy in front of the sandbox, behind a relay, and the clients' files, all in `folder`."""
    materials = make_materials()
    materials.write(folder)
    table = edited_table(folder / "mappings", {"organizations": lambda text: text + _ORGANIZATIONS})
    async with (
        run_sandbox(SandboxConfig(transcripts=materials.transcripts())) as sandbox,
        running(settings_for(folder, sandbox.llamalitica.url, sandbox.llamachat.url), table) as proxy,
        relaying(URL(proxy.url).host or "", URL(proxy.url).port or 0) as relay,
    ):
        sandbox.llamalitica.webhook_url = f"{proxy.url}/webhooks/llamalitica"
        yield Bench(relay, sandbox, materials, folder)


async def run(client: Client, command: Sequence[str], bench: Bench) -> tuple[int, str]:
    """Exit code and output of a command in the client's folder; killed when it takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *bench.argv(command),
            cwd=client.folder,
            env=bench.environment(client),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except FileNotFoundError:
        return 127, f"{command[0]} is not installed"
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 124, f"{command[0]} took longer than {_SECONDS:g} s"
    return process.returncode or 0, output.decode("utf-8", "backslashreplace")
