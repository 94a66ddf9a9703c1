"""10,000 interleaved calls of 200 users over a moving canary, each answer searched for what is another's."""

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import aiohttp
from cryptography.fernet import Fernet

from proxy.sandbox import run_sandbox
from proxy.web.service import running
from tests.apart.interleaved import ApartCalls, Crowd, apart_calls, crowd, mixed_up, setting_cookies
from tests.captured import captured_log
from tests.conftest import Api, Clock, edited_table, settings_for
from tests.flows._client import settled
from tests.rollout.homes import move_about
from tests.rollout.moving import ROUTES, mode
from tests.soak.rows import Row
from tests.stores import ENGINES

SEED = 20261125


async def run(scale: float) -> list[Row]:
    """About 3 minutes at scale 1."""
    count = round(10_000 * scale)
    users = crowd(200, 40, Random(SEED))
    with captured_log() as log, setting_cookies():
        calls, mixed = await _called(users, count)
        logged = log.getvalue()
    told = [word for user in users.users for word in user.canaries.values() if word in logged]
    seen = f"{users.belongings.seen} words seen"
    return [
        _row(f"{count} calls of 200 users: 0 foreign bytes or tokens", calls.foreign, seen),
        _row(
            "0 foreign cookies, 0 words of another in a call to an upstream",
            mixed,
            f"{len(calls.cookies)} cookies",
        ),
        _row("every call answered as documented", calls.wrong, f"{sum(calls.answered.values())} calls"),
        _row("0 canaries in the log", told, f"{len(logged) // 1024} KiB of log"),
    ]


def _row(goal: str, wrong: list[str], figure: str) -> Row:
    return Row(
        "apart", goal, f"{len(wrong)} of {figure}" + "".join(f"; {each}" for each in wrong[:1]), not wrong
    )


async def _called(users: Crowd, count: int) -> tuple[ApartCalls, list[str]]:
    with TemporaryDirectory(prefix="michiq-soak-") as name:
        folder = Path(name)
        table = edited_table(
            folder / "mappings", dict.fromkeys(ROUTES, mode("canary", "canary_percent = 50"))
        )
        async with (
            run_sandbox(users.config()) as sandbox,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
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
                sandbox.llamalitica.webhook_url = f"{proxy.url}/webhooks/llamalitica"
                api = Api(proxy, sandbox, http, clock)
                calls = apart_calls(api, users, SEED)
                moving = asyncio.create_task(move_about(api, Random(SEED + 1)), name="move-about")
                await calls.run(count, at_once=24)
                moving.cancel()
                await asyncio.wait({moving})
                await settled(api)
                return calls, mixed_up(calls, sandbox)
