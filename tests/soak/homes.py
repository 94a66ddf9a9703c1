"""10,000 mixed calls of 200 users over a canary whose percentage changes all the time."""

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import aiohttp
from cryptography.fernet import Fernet

from proxy.sandbox import SandboxConfig, run_sandbox
from proxy.web.service import running
from tests.conftest import Api, Clock, edited_table, settings_for
from tests.rollout.homes import Calls, move_about, people
from tests.rollout.moving import ROUTES, mode
from tests.soak.rows import Row
from tests.stores import ENGINES

SEED = 20241125


async def run(scale: float) -> list[Row]:
    count = round(10_000 * scale)
    with TemporaryDirectory(prefix="michiq-soak-") as name:
        folder = Path(name)
        canary = mode("canary", "canary_percent = 30")
        table = edited_table(folder / "mappings", dict.fromkeys(ROUTES, canary))
        async with run_sandbox(SandboxConfig()) as sandbox, aiohttp.ClientSession() as http:
            settings = settings_for(
                folder,
                sandbox.llamalitica.url,
                sandbox.llamachat.url,
                MICHIQ_LEGACY_URL=sandbox.michiq.url,
                MICHIQ_SECRET_KEYS=Fernet.generate_key().decode(),
                **await ENGINES.environ(folder),
            )
            clock = Clock()
            async with running(settings, table, clock) as proxy:
                calls = await _called(Api(proxy, sandbox, http, clock), count)
                revision = proxy.moving.live.now.overrides.revision
                legacy = len(sandbox.michiq.encounters)
    cases = sum(len(user.cases) for user in calls.users)
    figure = f"{sum(calls.answered.values())} calls, {len(calls.wrong)} wrong, {revision} changes"
    return [
        Row(
            "homes", f"{count} mixed calls of 200 users: none refused for the split", figure, not calls.wrong
        ),
        Row("homes", "cases on both sides", f"{legacy} of {cases} on the legacy server", 0 < legacy < cases),
    ]


async def _called(api: Api, count: int) -> Calls:
    calls = Calls(api, Random(SEED), people(200, 40))
    moving = asyncio.create_task(move_about(api, Random(SEED + 1)), name="move-about")
    await calls.run(count)
    moving.cancel()
    await asyncio.wait({moving})
    return calls
